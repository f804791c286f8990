"""The embedded benchmark's domains: drawn on first use, then read as the real data set whose layout they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from dgreid.data.domains.base import Counts, Domain, Subset
from dgreid.data.domains.cuhknp import CUHKNP
from dgreid.data.domains.dukemtmc import DukeMTMC
from dgreid.data.domains.market1501 import Market1501
from dgreid.data.domains.msmt17v1 import MSMT17V1
from dgreid.data.domains.published import PublishedDomain
from dgreid.errors import InputError
from dgreid.synthetic import styles
from dgreid.synthetic.census import Size
from dgreid.synthetic.draws import VERSION
from dgreid.synthetic.generation import ensure_generated
from dgreid.synthetic.layouts.base import Layout
from dgreid.synthetic.layouts.cuhknp import CUHKNPLayout
from dgreid.synthetic.layouts.dukemtmc import DukeMTMCLayout
from dgreid.synthetic.layouts.market1501 import Market1501Layout
from dgreid.synthetic.layouts.msmt17 import MSMT17Layout
from dgreid.synthetic.plan import Plan
from dgreid.synthetic.styles import Style
from dgreid.types import ReIDRecord


class SyntheticDomain(Domain):
    """Procedural pedestrians. A further domain is a style, a layout and a loader in a subclass.

    Args:
        name: catalogue name; people and cameras of two names have nothing in common.
        folder: where generated data sets are kept.
        seed: of people, cameras and pictures.
        train_identities: people to train on.
        test_identities: people to search.
        images_per_identity: at least 4, spread evenly over the cameras that see a person.
        height: of an image in pixels.
        width: of an image in pixels.

    Attributes:
        style: what the pictures look like.
        layout: how the files are named.
        loader: the real data set's own loader.

    Raises:
        InputError: no folder, or a size out of its range.
    """

    style: ClassVar[Style]
    layout: ClassVar[Layout]
    loader: ClassVar[type[PublishedDomain]]

    def __init__(
        self,
        *,
        name: str,
        folder: str | Path,
        seed: int = 0,
        train_identities: int = 150,
        test_identities: int = 100,
        images_per_identity: int = 8,
        height: int = 128,
        width: int = 64,
    ) -> None:
        if not str(folder):
            raise InputError(f"{name}: synthetic.folder is empty; name a folder to draw the images in")
        self.name = name
        self.family = name
        self.folder = Path(folder).expanduser()
        self.distractors = self.loader.distractors
        size = Size(train_identities, test_identities, images_per_identity, height, width)
        self.plan = Plan(name, seed, self.style, self.layout, size)

    @property
    def version(self) -> str:
        """Version of the drawing code, and the seed."""
        return f"v{VERSION}, seed {self.plan.seed}"

    @property
    def expected(self) -> Mapping[Subset, Counts]:
        """The sizes that follow from the configuration."""
        size, census = self.plan.size, self.plan.census
        cameras, people = census.cameras_per_identity, size.test_identities
        gallery = people * (size.images_per_identity - cameras) + self.layout.distractors(census)
        return {
            "train": Counts(size.train_identities, size.train_identities * size.images_per_identity),
            "query": Counts(people, people * cameras),
            "gallery": Counts(people, gallery),
        }

    @cached_property
    def root(self) -> Path:
        """The data set's folder; drawn on first use.

        Raises:
            InputError: it cannot be written, or the folder holds something else.
        """
        return ensure_generated(self.plan, self.folder.absolute())

    @property
    def is_on_disk(self) -> bool:
        """Whether it was drawn already; asking draws nothing."""
        return (self.folder / self.plan.folder_name).is_dir()

    def list_images(self) -> Mapping[Subset, Sequence[ReIDRecord]]:
        """Reads the files with the real data set's loader."""
        return self.loader(data_root=self.root, name=self.name).list_images()

    def explain_count(self, subset: Subset, found: Counts) -> str:
        """What to do about a wrong count."""
        return f"files were added or removed: delete {self.root}, it is drawn again"


class SyntheticPlaza(SyntheticDomain):
    """Summer on a sunny square, in Market-1501's layout, with junk and distractors."""

    style = styles.PLAZA
    layout = Market1501Layout()
    loader = Market1501


class SyntheticStation(SyntheticDomain):
    """Travellers in a station hall, in MSMT17's layout."""

    style = styles.STATION
    layout = MSMT17Layout()
    loader = MSMT17V1


class SyntheticCampus(SyntheticDomain):
    """Students on the lawn, in DukeMTMC-reID's layout."""

    style = styles.CAMPUS
    layout = DukeMTMCLayout()
    loader = DukeMTMC


class SyntheticNight(SyntheticDomain):
    """A street on a winter's night, in CUHK03-NP's layout: pairs of cameras, PNG files."""

    style = styles.NIGHT
    layout = CUHKNPLayout()
    loader = CUHKNP
