"""Data sets that others publish: found in any of their usual places, with help where they are missing."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from dgreid.data.domains.base import DatasetError, Domain
from dgreid.errors import InputError


def existing_data_root(data_root: str | Path | None) -> Path:
    """The folder that holds all data sets, checked when data is needed.

    Raises:
        InputError: no folder is given, or it does not exist.
    """
    way_out = "name the folder of your data sets by DGREID_DATA=<folder> or data_root=<folder>"
    if data_root is None or not str(data_root):
        raise InputError(f"data_root is not set; {way_out}")
    folder = Path(data_root).expanduser().absolute()
    if not folder.is_dir():
        raise InputError(f"data_root={data_root} is not a folder; {way_out}")
    return folder


def in_data_root(data_root: str | Path | None, place: str | Path) -> Path:
    """A file or folder that the user named: absolute, or relative to ``data_root``.

    Raises:
        InputError: it is relative, and ``data_root`` is not set or does not exist.
    """
    given = Path(place).expanduser()
    return given if given.is_absolute() else existing_data_root(data_root) / given


class PublishedDomain(Domain):
    """A data set that lies in one of a few places below ``data_root``, or is ``data_root`` itself.

    Args:
        data_root: folder of all data sets; ``~`` is the home folder.
        name: another name than the catalogue's, for a second copy.

    Attributes:
        places: where it may lie, relative to ``data_root``, most specific first.
        belongs: what its folder holds, for the message.
        obtain: where users get it, for the message.
    """

    places: tuple[str, ...]
    belongs: str
    obtain: ClassVar[str]

    def __init__(self, *, data_root: str | Path | None, name: str | None = None) -> None:
        self.data_root = data_root
        if name is not None:
            self.name = name

    @abstractmethod
    def holds(self, folder: Path) -> bool:
        """Whether a folder in one of the usual places is this data set; a missing list is reported later."""

    @abstractmethod
    def is_bare(self, folder: Path) -> bool:
        """Whether ``data_root`` itself is this data set: no name vouches for it, so its content has to."""

    @cached_property
    def root(self) -> Path:
        """The data set's folder; see ``Domain.root``."""
        data_root = existing_data_root(self.data_root)
        for place in self.places:
            if self.holds(data_root / place):
                return data_root / place
        if self.is_bare(data_root):
            return data_root
        looked_at = "\n".join(f"  {data_root / place}" for place in self.places)
        raise DatasetError(
            f"{self.name} was not found. Looked at:\n{looked_at}\n  {data_root} (as the data set itself)\n"
            f"What belongs there: {self.belongs}\n"
            f"The root is chosen by DGREID_DATA=<folder> or data_root=<folder>. Where to get it: {self.obtain}"
        )
