"""What a layout says: the name of each file, and what is drawn in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dgreid.synthetic.census import Census
from dgreid.synthetic.shot import Drawing


class PlannedFile(NamedTuple):
    """An image file: its path relative to the data set's folder, and what it shows."""

    path: str
    drawing: Drawing


class Layout(ABC):
    """Names the files of a domain as a real data set does."""

    @abstractmethod
    def files(self, census: Census) -> Iterator[PlannedFile]:
        """All image files, each path once."""

    def lists(self, census: Census) -> Mapping[str, str]:
        """Text files that belong to the data set, by relative path."""
        return {}

    def distractors(self, census: Census) -> int:
        """How many gallery images show nobody of the census."""
        return 0
