"""What every data set offers: lists of images, found without being told a layout twice."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from dgreid.errors import InputError
from dgreid.types import ReIDRecord

Subset = Literal["train", "query", "gallery"]
Use = Literal["train", "train+test"]
SUBSETS: tuple[Subset, ...] = ("train", "query", "gallery")


class DatasetError(InputError):
    """A data set is missing, or is not what its name says."""


class Counts(NamedTuple):
    """How large a subset is; compared with what is found on disk."""

    identities: int
    images: int


class Domain(ABC):
    """One data set on disk. Construction does no I/O.

    Attributes:
        name: catalogue name.
        family: data sets that show the same people share it; the guard against leaks compares it.
        expected: published size of each subset, empty where nothing is published.
    """

    name: str
    family: str
    expected: Mapping[Subset, Counts]

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder that holds the data set.

        Raises:
            DatasetError: it is not there; the message lists the places looked at and what belongs there.
        """

    @abstractmethod
    def list_images(self) -> Mapping[Subset, list[ReIDRecord]]:
        """Reads the lists. Junk images are dropped, identities are the data set's own, cameras 0-based.

        Raises:
            DatasetError: nothing found, or a list or file name that cannot be understood.
        """

    @cached_property
    def _lists(self) -> Mapping[Subset, tuple[ReIDRecord, ...]]:
        lists = self.list_images()
        return {subset: tuple(sorted(lists.get(subset, ()), key=lambda r: str(r.path))) for subset in SUBSETS}

    def records(self, subset: Subset) -> tuple[ReIDRecord, ...]:
        """The images of a subset, sorted by path, with the data set's own identity numbers."""
        return self._lists[subset]

    def source_records(self, use: Use) -> tuple[ReIDRecord, ...]:
        """The images to train on, identities renumbered 0..n-1.

        Args:
            use: ``train`` takes the training set; ``train+test`` also query and gallery, without distractors, test
                identities being people of their own.
        """
        raise NotImplementedError


def list_hash(records: Iterable[ReIDRecord], root: Path) -> str:
    """Sha256 (hex) of a list of images: path relative to ``root``, identity and camera of each, in order."""
    digest = hashlib.sha256()
    for record in records:
        path = record.path.relative_to(root).as_posix()
        digest.update(f"{path} {record.identity} {record.camera}\n".encode())
    return digest.hexdigest()
