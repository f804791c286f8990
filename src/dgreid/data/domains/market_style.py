"""Data sets laid out as Market-1501 is: one folder per subset, identity and camera in the file name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from dgreid.data.domains.base import Subset
from dgreid.data.domains.files import first_image, records_in
from dgreid.data.domains.published import PublishedDomain
from dgreid.types import ReIDRecord

MARKET_FOLDERS: Mapping[Subset, str] = MappingProxyType(
    {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
)
MARKET_PATTERN = re.compile(r"(?P<identity>-?\d+)_c(?P<camera>\d+)")


def has_market_folders(folder: Path) -> bool:
    """Whether one of the subset folders is there."""
    return any((folder / subset).is_dir() for subset in MARKET_FOLDERS.values())


def has_market_names(folder: Path, names: re.Pattern[str]) -> bool:
    """Whether a subset folder holds an image whose name begins with a pattern."""
    return any(names.match(first_image(folder / subset)) for subset in MARKET_FOLDERS.values())


def market_lists(folder: Path, domain: str) -> Mapping[Subset, list[ReIDRecord]]:
    """The images of the three subset folders, junk dropped.

    Raises:
        DatasetError: a folder is missing, or a name does not say identity and camera.
    """
    return {
        subset: records_in(folder / name, MARKET_PATTERN, first_camera=1, domain=domain)
        for subset, name in MARKET_FOLDERS.items()
    }


class MarketStyleDomain(PublishedDomain):
    """A published data set in Market-1501's layout.

    Attributes:
        own_names: how names of this data set begin and those of its siblings do not.
    """

    own_names: ClassVar[re.Pattern[str]]

    def holds(self, folder: Path) -> bool:
        """One of the subset folders is there."""
        return has_market_folders(folder)

    def is_bare(self, folder: Path) -> bool:
        """A subset folder holds an image with a name of this data set."""
        return has_market_names(folder, self.own_names)

    def list_images(self) -> Mapping[Subset, list[ReIDRecord]]:
        """Reads the subset folders; see ``Domain.list_images``."""
        return market_lists(self.root, self.name)
