"""A few people in a folder, for the tests of the data path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dgreid.data.domains.base import Domain, Subset
from dgreid.types import ReIDRecord

People = Sequence[tuple[int, int]]

TRAIN = [(identity, camera) for identity in range(8) for camera in (0, 0, 1, 2)]
QUERY = [(identity, 0) for identity in (100, 101, 102)]
GALLERY = [(identity, camera) for identity in (100, 101, 102, 103) for camera in (0, 1)]


def write_people(folder: Path, people: People, size: tuple[int, int] = (32, 16)) -> tuple[ReIDRecord, ...]:
    """One JPEG for each (identity, camera), smooth noise of its own; height and width of ``size``."""
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for number, (identity, camera) in enumerate(people):
        path = folder / f"{number:04d}.jpg"
        records.append(ReIDRecord(path, identity, camera))
        if path.exists():
            continue
        rough = np.random.default_rng([number, identity, camera + 1]).integers(0, 256, (8, 4, 3), dtype=np.uint8)
        Image.fromarray(rough).resize((size[1], size[0]), Image.Resampling.BICUBIC).save(path, quality=90)
    return tuple(records)


class FolderOfPeople(Domain):
    """A domain of given lists."""

    def __init__(
        self,
        folder: Path,
        name: str = "people",
        train: People = TRAIN,
        query: People = QUERY,
        gallery: People = GALLERY,
    ) -> None:
        self.name = self.family = name
        self.people: Mapping[Subset, People] = {"train": train, "query": query, "gallery": gallery}
        self._root = folder / name

    @property
    def root(self) -> Path:
        return self._root

    @property
    def version(self) -> str:
        return "test"

    def list_images(self) -> Mapping[Subset, Sequence[ReIDRecord]]:
        return {subset: write_people(self.root / subset, people) for subset, people in self.people.items()}
