"""What every data set offers: lists of images, found without being told a layout twice."""

from __future__ import annotations

import hashlib
import os
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from dgreid.errors import InputError
from dgreid.types import DomainInfo, ReIDRecord

Subset = Literal["train", "query", "gallery"]
Use = Literal["train", "train+test"]
SUBSETS: tuple[Subset, ...] = ("train", "query", "gallery")


class DatasetError(InputError):
    """A data set is missing, or is not what its name says."""


class CountWarning(UserWarning):
    """A data set is not as large as published: a file is missing, or it is another version."""


class Counts(NamedTuple):
    """How large a subset is; distractors count as images, not as identities."""

    identities: int
    images: int


class CountDifference(NamedTuple):
    """A subset that is not of the published size, and what to do about it."""

    message: str
    way_out: str


class Domain(ABC):
    """One data set on disk. Construction does no I/O; lists are read once, when first asked for.

    Attributes:
        name: catalogue name.
        family: data sets that show the same people share it; the guard against leaks compares it.
        distractors: identities that are no people: kept in a gallery, never trained on.
        highest_identity: an identity above it is refused; None where any number is possible.
        highest_camera: the same for the 0-based camera.
    """

    name: str
    family: str
    distractors: frozenset[int] = frozenset()
    highest_identity: int | None = None
    highest_camera: int | None = None

    @property
    @abstractmethod
    def version(self) -> str:
        """Which release, crops and split this is; part of every result."""

    @property
    def expected(self) -> Mapping[Subset, Counts]:
        """Published size of each subset; empty where nothing is published. A difference warns."""
        return {}

    @property
    @abstractmethod
    def root(self) -> Path:
        """The folder that holds all images of the data set.

        Raises:
            DatasetError: it is not there; the message lists the places looked at and what belongs there.
        """

    @property
    def is_on_disk(self) -> bool:
        """Whether it is there already; asking makes nothing."""
        try:
            return self.root.is_dir()
        except InputError:
            return False

    @abstractmethod
    def list_images(self) -> Mapping[Subset, Sequence[ReIDRecord]]:
        """Reads the lists, without any check of their size.

        Junk images are dropped, identities are the data set's own, cameras 0-based.

        Raises:
            DatasetError: a folder or list is missing, or a list or file name cannot be understood.
        """

    @cached_property
    def _lists(self) -> Mapping[Subset, tuple[ReIDRecord, ...]]:
        lists = self.list_images()
        ordered = {subset: tuple(sorted(lists.get(subset, ()), key=lambda r: str(r.path))) for subset in SUBSETS}
        if not any(ordered.values()):
            raise DatasetError(f"{self.name}: {self.root} holds no image")
        for subset, records in ordered.items():
            self._refuse_unwritable_names(records)
            self._refuse_out_of_range(subset, records)
        self._refuse_repeated(ordered)
        for difference in self.count_differences(ordered):
            warnings.warn("; ".join(difference), CountWarning, stacklevel=3)
        return ordered

    def records(self, subset: Subset) -> tuple[ReIDRecord, ...]:
        """The images of a subset, sorted by path, with the data set's own identity numbers.

        Raises:
            DatasetError: the data set is missing or empty, an identity or camera is out of range, or an image is listed
                twice in a subset, or both for training and testing.
        """
        return self._lists[subset]

    def source_records(self, use: Use) -> tuple[ReIDRecord, ...]:
        """The images to train on, sorted by path, identities renumbered 0..n-1 in ascending order.

        Args:
            use: ``train`` takes the training set; ``train+test`` also query and gallery, without distractors. Test
                identities are people of their own, whatever their numbers, and follow the training identities.

        Raises:
            DatasetError: as ``records``; or there is nothing to train on.
        """
        if use not in ("train", "train+test"):
            raise InputError(f"{self.name}: use={use!r} is unknown; it is 'train' or 'train+test'")
        parts = [self.records("train")]
        if use == "train+test":
            parts.append((*self.records("query"), *self.records("gallery")))
        numbered: dict[Path, ReIDRecord] = {}
        offset = 0
        for part in parts:
            people = [record for record in part if record.identity not in self.distractors]
            labels = {identity: offset + i for i, identity in enumerate(sorted({r.identity for r in people}))}
            numbered.update({r.path: ReIDRecord(r.path, labels[r.identity], r.camera) for r in people})
            offset += len(labels)
        if not numbered:
            raise DatasetError(f"{self.name}: {self.root} holds no image to train on; it can only be a target")
        return tuple(sorted(numbered.values(), key=lambda r: str(r.path)))

    def count(self, records: Iterable[ReIDRecord]) -> Counts:
        """The size of a list of images."""
        listed = list(records)
        return Counts(len({r.identity for r in listed} - self.distractors), len(listed))

    def count_differences(self, lists: Mapping[Subset, Sequence[ReIDRecord]]) -> list[CountDifference]:
        """The subsets that are not of the published size."""
        differences = []
        for subset, expected in self.expected.items():
            found = self.count(lists[subset])
            if found != expected:
                message = (
                    f"{self.name}: {subset} has {found.identities:,} identities and {found.images:,} images, published "
                    f"are {expected.identities:,} and {expected.images:,}"
                )
                differences.append(CountDifference(message, self.explain_count(subset, found)))
        return differences

    def explain_count(self, subset: Subset, found: Counts) -> str:
        """What to do about a wrong count."""
        return "the copy is incomplete or another version: unpack the original archive again"

    def _refuse_unwritable_names(self, records: Iterable[ReIDRecord]) -> None:
        for record in records:
            try:
                str(record.path).encode()
            except UnicodeEncodeError as error:  # of old archives; no table, page or terminal can show it
                raise DatasetError(
                    f"{self.name}: the file name {str(record.path)!a} is no UTF-8; rename it, e.g. with "
                    "`convmv -f latin1 -t utf8 -r --notest <folder>`"
                ) from error

    def _refuse_out_of_range(self, subset: Subset, records: Iterable[ReIDRecord]) -> None:
        for record in records:
            for value, highest, what in (
                (record.identity, self.highest_identity, "identity"),
                (record.camera, self.highest_camera, "camera (counted from 0)"),
            ):
                if highest is not None and not 0 <= value <= highest:
                    raise DatasetError(
                        f"{self.name}: {what} {value} of {record.path} ({subset}) is not in 0..{highest}; "
                        "this is another data set, or the file was renamed"
                    )

    def _refuse_repeated(self, lists: Mapping[Subset, Sequence[ReIDRecord]]) -> None:
        # A query may also be in the gallery: evaluation takes the same identity and camera out.
        # One image may be written in several ways: a/b.jpg, a/./b.jpg, a/c/../b.jpg.
        paths = {subset: [os.path.normpath(record.path) for record in lists[subset]] for subset in SUBSETS}
        tested = {*paths["query"], *paths["gallery"]}
        repeated: list[tuple[str, str]] = [
            (path, subset) for subset in SUBSETS for path, times in Counter(paths[subset]).items() if times > 1
        ]
        repeated += [(path, "train and test") for path in paths["train"] if path in tested]
        for path, where in repeated[:1]:
            raise DatasetError(f"{self.name}: {path} is listed twice ({where}); each image may be there once")


def list_hash(records: Iterable[ReIDRecord], root: Path) -> str:
    """Sha256 (hex) of a list of images: path relative to ``root``, identity and camera of each, in order."""
    digest = hashlib.sha256()
    for record in records:
        path = record.path.relative_to(root).as_posix()
        digest.update(f"{path} {record.identity} {record.camera}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def domain_info(domain: Domain, records: Sequence[ReIDRecord]) -> DomainInfo:
    """What a strategy may know of a source.

    Args:
        domain: the source.
        records: its training images, identities 0..n-1.
    """
    return DomainInfo(
        name=domain.name,
        identities=1 + max(record.identity for record in records),
        images=len(records),
        cameras=len({record.camera for record in records}),
        list_hash=list_hash(records, domain.root),
    )
