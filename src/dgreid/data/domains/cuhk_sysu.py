"""Persons cut out of CUHK-SYSU (Xiao et al., Joint Detection and Identification Feature Learning, CVPR 2017)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from dgreid.data.domains.base import Counts, DatasetError, Subset
from dgreid.data.domains.files import first_image, image_files
from dgreid.data.domains.published import PublishedDomain
from dgreid.types import ReIDRecord


class CropLayout(NamedTuple):
    """One of the ways in which the persons were cut out and stored."""

    crops: str
    folders: tuple[str, ...]
    names: re.Pattern[str]


# The three are different pictures of the same people, so a result has to say which it was trained on.
LAYOUTS = (
    CropLayout("torchreid crops", ("cropped_images",), re.compile(r"p(?P<identity>\d+)_s\d+_\d+\.")),
    CropLayout("MetaBIN crops", ("cropped_images", "."), re.compile(r"p(?P<identity>\d+)_n\d+_s\d+_")),
    CropLayout("BAU crops", ("bounding_box_train",), re.compile(r"(?P<identity>\d+)_c\d+")),
)


class CUHKSYSU(PublishedDomain):
    """A source only: there is one (dummy) camera, so no image is a valid match for another.

    Person search has pictures of scenes; every code base cuts persons out in its own way. All three known layouts are
    read, and ``version`` says which it is.
    """

    name = "cuhk_sysu"
    family = "cuhk_sysu"
    places = ("cuhk_sysu/CUHK-SYSU", "CUHK-SYSU", "cuhk_sysu")
    belongs = (
        "cropped_images/ with names such as p11422_s16929_1.jpg or p00001_n01_s00001_hard0.png, or bounding_box_train/ "
        "with names such as 0001_c1_0001.jpg"
    )
    obtain = "on request from the authors; the crops are made from it by torchreid, MetaBIN or BAU"

    @property
    def version(self) -> str:
        """Which crops they are."""
        return self._layout[0].crops

    @property
    def expected(self) -> Mapping[Subset, Counts]:
        """Published for torchreid's crops only."""
        return {"train": Counts(11_934, 34_574)} if self._layout[0] is LAYOUTS[0] else {}

    def holds(self, folder: Path) -> bool:
        """A folder of one of the layouts is there."""
        return _layout_of(folder) is not None or any((folder / f).is_dir() for one in LAYOUTS for f in one.folders[:1])

    def is_bare(self, folder: Path) -> bool:
        """Crops with torchreid's or MetaBIN's names; BAU's folder looks like that of other data sets."""
        found = _layout_of(folder)
        return found is not None and (found[0] is not LAYOUTS[2] or folder.name == "CUHK-SYSU")

    def list_images(self) -> Mapping[Subset, list[ReIDRecord]]:
        """Reads the crops, all of camera 0; see ``Domain.list_images``."""
        layout, folder = self._layout
        records = []
        for path in image_files(folder, self.name):
            match = layout.names.match(path.name)
            if match is None:
                raise DatasetError(f"{self.name}: {path} is not named as the other {layout.crops} are; remove it")
            records.append(ReIDRecord(path, int(match["identity"]), 0))
        return {"train": records}

    @cached_property
    def _layout(self) -> tuple[CropLayout, Path]:
        found = _layout_of(self.root)
        if found is None:
            raise DatasetError(f"{self.name}: {self.root} holds no known crops; it should hold {self.belongs}")
        return found


def _layout_of(folder: Path) -> tuple[CropLayout, Path] | None:
    places = ((layout, folder / name) for layout in LAYOUTS for name in layout.folders)
    return next(((layout, place) for layout, place in places if layout.names.match(first_image(place))), None)
