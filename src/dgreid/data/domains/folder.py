"""One's own images in folders, identity and camera in their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from dgreid.data.domains.base import DatasetError, Domain, Subset
from dgreid.data.domains.files import records_in
from dgreid.data.domains.published import in_data_root
from dgreid.errors import InputError
from dgreid.types import ReIDRecord


class FolderDomain(Domain):
    r"""A data set of one's own: a folder per subset, described by configuration alone.

    Images with a negative identity are junk and dropped, as in Market-1501.

    Args:
        data_root: folder of all data sets.
        name: its name in results.
        folder: the data set's folder, relative to ``data_root`` or absolute.
        pattern: regular expression, matched at the beginning of a file's own name, with the named groups ``identity``
            and, unless cameras are unknown, ``camera``: both whole numbers.
        first_camera: number of the first camera in the names.
        train: name of the folder with training images, in ``folder``; null if there is none.
        query: the same for the query images.
        gallery: the same for the gallery.
        distractors: identities that are no people, such as Market-1501's 0: in the gallery, never trained on.
        family: the same word for all data sets that show the same people; by default the name.
        version: which release it is; part of results.
    """

    def __init__(
        self,
        *,
        data_root: str | Path | None,
        name: str = "folder",
        folder: str | Path | None = None,
        pattern: str = r"(?P<identity>-?\d+)_c(?P<camera>\d+)",
        first_camera: int = 1,
        train: str | None = "bounding_box_train",
        query: str | None = "query",
        gallery: str | None = "bounding_box_test",
        distractors: Sequence[int] = (),
        family: str | None = None,
        version: str = "own",
    ) -> None:
        self.name = name
        self.family = family or name
        self.distractors = frozenset(distractors)
        self._data_root = data_root
        self._folder = folder
        self._pattern = _compiled(name, pattern)
        self._first_camera = first_camera
        self._subsets: Mapping[Subset, str | None] = {"train": train, "query": query, "gallery": gallery}
        self._version = version

    @property
    def version(self) -> str:
        """As given."""
        return self._version

    @cached_property
    def root(self) -> Path:
        """The data set's folder; see ``Domain.root``."""
        if self._folder is None:
            raise InputError(
                f"{self.name}: no folder is given; name it by domain.{self.name}.folder=<folder in data_root>, or "
                "describe the data set in a file conf/domain/<name>.yaml of your own"
            )
        root = in_data_root(self._data_root, self._folder)
        if not root.is_dir():
            wanted = [folder for folder in self._subsets.values() if folder is not None]
            raise DatasetError(f"{self.name}: the folder {root} does not exist; it should hold {', '.join(wanted)}")
        return root

    def list_images(self) -> Mapping[Subset, list[ReIDRecord]]:
        """Reads the subset folders; see ``Domain.list_images``."""
        return {
            subset: records_in(self.root / folder, self._pattern, self._first_camera, self.name)
            for subset, folder in self._subsets.items()
            if folder is not None
        }


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"{name}: pattern {pattern!r} is no regular expression: {error}") from error
    if "identity" not in compiled.groupindex:
        raise InputError(
            f"{name}: pattern {pattern!r} must have a group (?P<identity>...) and may have (?P<camera>...)"
        )
    return compiled
