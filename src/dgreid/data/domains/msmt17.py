"""MSMT17 (Wei et al., Person Transfer GAN to Bridge Domain Gap, CVPR 2018): what its versions share."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from dgreid.data.domains.base import Counts, DatasetError, Subset
from dgreid.data.domains.files import listed_images, parse_name
from dgreid.data.domains.published import PublishedDomain
from dgreid.types import ReIDRecord

# Names such as 0000_000_01_0303morning_0015_0.jpg: identity, image, camera (two digits), time, frame, box.
ORIGINAL_NAMES = re.compile(r"(?P<identity>\d+)_\d+_(?P<camera>\d+)_")
LISTS: Mapping[str, Subset] = MappingProxyType(
    {"list_train.txt": "train", "list_val.txt": "train", "list_query.txt": "query", "list_gallery.txt": "gallery"}
)


class ListedLayout(NamedTuple):
    """Where the images of each subset lie, and how their files are named."""

    folders: Mapping[Subset, str]
    names: re.Pattern[str]


class ListedMSMT17(PublishedDomain):
    """Fifteen cameras; lists say which images belong to a subset, and their second column is the identity.

    Training is ``list_train`` and ``list_val`` together, as both reference releases have it. Test identities restart
    at 0. Both versions show the same people; V2's faces are blurred.

    Attributes:
        layouts: the layouts the version circulates in.
    """

    family = "msmt17"
    expected: Mapping[Subset, Counts] = MappingProxyType(
        {"train": Counts(1_041, 32_621), "query": Counts(3_060, 11_659), "gallery": Counts(3_060, 82_161)}
    )
    highest_identity = 3_059
    highest_camera = 14
    obtain = "on request from the authors (a signed licence agreement)"
    layouts: ClassVar[tuple[ListedLayout, ...]]

    def holds(self, folder: Path) -> bool:
        """Image folders of one of the layouts are there."""
        return any((folder / name).is_dir() for layout in self.layouts for name in layout.folders.values())

    def is_bare(self, folder: Path) -> bool:
        """Image folders of one of the layouts are there, and a list."""
        return self.holds(folder) and any((folder / name).is_file() for name in LISTS)

    def list_images(self) -> Mapping[Subset, list[ReIDRecord]]:
        """Reads the four lists; see ``Domain.list_images``."""
        layout = next(one for one in self.layouts if any((self.root / f).is_dir() for f in one.folders.values()))
        lists: dict[Subset, list[ReIDRecord]] = {"train": [], "query": [], "gallery": []}
        for list_name, subset in LISTS.items():
            lists[subset] += self._read_list(self.root / list_name, self.root / layout.folders[subset], layout.names)
        return lists

    def _read_list(self, list_file: Path, folder: Path, names: re.Pattern[str]) -> list[ReIDRecord]:
        records = []
        for path, identity in listed_images(list_file, self.name):
            camera = parse_name(folder / path, names, first_camera=1, domain=self.name).camera
            records.append(ReIDRecord(folder / path, identity, camera))
        # One look only: a test of every file costs minutes on a network disk, and is the doctor's business.
        if records and not os.path.isfile(records[0].path):  # unlike Path's, which raises for too long a name
            raise DatasetError(
                f"{self.name}: {records[0].path}, the first image of {list_file.name}, does not exist; lists and "
                "images are of different versions, or the images were not unpacked"
            )
        return records
