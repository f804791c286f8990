"""CUHK03 in its classic protocol (Li et al., DeepReID, CVPR 2014): 20 splits with 100 test identities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from dgreid.data.cuhk03_mat import Crops, mat_people, mat_test_sets
from dgreid.data.domains import cuhk03_release as release
from dgreid.data.domains.base import Counts, DatasetError, Subset
from dgreid.data.domains.files import require_below
from dgreid.data.domains.published import PublishedDomain
from dgreid.errors import InputError
from dgreid.types import ReIDRecord

SPLITS = 20
# Published for the first split only.
FIRST_SPLIT: Mapping[Subset, Counts] = {"train": Counts(1_367, 26_263)}

Cameras = list[list[Path]]


class CUHK03(PublishedDomain):
    """Labeled and detected crops together, two cameras (the views of a pair).

    Read from ``images/``, ``meta.json`` and ``splits.json`` (the format of open-reid and M3L), or from the release's
    ``cuhk-03.mat``. As a target, the query images are the last of each identity and camera and the gallery is all
    others, which is M3L's rule; the protocol's own single-shot gallery is not sampled.
    """

    name = "cuhk03"
    family = "cuhk03"
    highest_identity = 1_466
    highest_camera = 1
    places = (f"cuhk03/{release.RELEASE}", *release.PLACES)
    belongs = f"{release.RELEASE}/ with images/, meta.json and splits.json, or with {release.MAT}"
    obtain = release.OBTAIN

    def __init__(self, *, data_root: str | Path | None, name: str | None = None, split: int = 0) -> None:
        super().__init__(data_root=data_root, name=name)
        if split not in range(SPLITS):
            raise InputError(f"{self.name}: split={split!r} must be a whole number in 0..{SPLITS - 1}")
        self.split = split

    @property
    def version(self) -> str:
        """Protocol, crops and split."""
        return f"classic split {self.split}, labeled + detected"

    @property
    def expected(self) -> Mapping[Subset, Counts]:
        """Published size of the first split's training set."""
        return FIRST_SPLIT if self.split == 0 else {}

    def holds(self, folder: Path) -> bool:
        """Either format is there."""
        return (folder / "meta.json").is_file() or (folder / "images").is_dir() or (folder / release.MAT).exists()

    def is_bare(self, folder: Path) -> bool:
        """Either format is there, beyond a folder ``images``."""
        return (folder / "meta.json").is_file() or (folder / release.MAT).exists()

    def list_images(self) -> Mapping[Subset, list[ReIDRecord]]:
        """Reads the images of every identity and the split; see ``Domain.list_images``."""
        if (self.root / release.MAT).exists() and not (self.root / "meta.json").exists():
            people, split = self._read_mat()
        else:
            people, split = self._read_json()
        query = [(i, camera, paths[-1:]) for i in split["query"] for camera, paths in enumerate(people[i])]
        asked = {path for _, _, paths in query for path in paths}
        gallery = [(i, c, [p for p in paths if p not in asked]) for i, c, paths in _of(people, split["gallery"])]
        return {
            "train": _records(_of(people, split["trainval"])),
            "query": _records(query),
            "gallery": _records(gallery),
        }

    def _read_json(self) -> tuple[list[Cameras], Mapping[str, list[int]]]:
        meta = _load_json(self.root / "meta.json", self.name)
        splits = _load_json(self.root / "splits.json", self.name)
        try:
            people = [[[self._image(name) for name in names] for names in cameras] for cameras in meta["identities"]]
            split = splits[self.split]
            parts = {part: [int(i) for i in split[part]] for part in ("trainval", "query", "gallery")}
            if any(not 0 <= i < len(people) for rows in parts.values() for i in rows):
                raise IndexError(f"a split names people beyond the {len(people)} there are")
            return people, parts
        except InputError:
            raise
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise DatasetError(
                f"{self.name}: meta.json must hold identities[person][camera] = file names and splits.json a list of "
                f"{SPLITS} {{trainval, query, gallery}}; {self.root} has something else ({error!r})"
            ) from error

    def _image(self, name: str) -> Path:
        require_below(name, f"{self.root / 'meta.json'}", self.name)
        return self.root / "images" / name

    def _read_mat(self) -> tuple[list[Cameras], Mapping[str, list[int]]]:
        mat = self.root / release.MAT
        sizes = mat_people(mat)
        pairs = [(pair, person) for pair, size in enumerate(sizes, start=1) for person in range(1, size + 1)]
        numbers = {one: number for number, one in enumerate(pairs)}
        people: list[Cameras] = [[[], []] for _ in numbers]
        # Labeled before detected, so that the last image of a camera is the one that meta.json has last.
        for crops in sorted(get_args(Crops), reverse=True):
            for stem, path in sorted(release.list_crops(self.root, crops, self.name).items()):
                pair, person, view = release.crop_numbers(stem, path, self.name)
                people[self._numbered(numbers, pair, person)][view - 1].append(path)
        test_sets = mat_test_sets(mat)
        if len(test_sets) <= self.split:
            raise DatasetError(f"{self.name}: {mat} has {len(test_sets)} splits, asked for is split {self.split}")
        test = sorted(self._numbered(numbers, pair, person) for pair, person in test_sets[self.split])
        return people, {"trainval": sorted(set(range(len(people))) - set(test)), "query": test, "gallery": test}

    def _numbered(self, numbers: Mapping[tuple[int, int], int], pair: int, person: int) -> int:
        if (pair, person) not in numbers:
            raise DatasetError(
                f"{self.name}: {self.root} names person {person} of pair {pair}, whom {release.MAT} does not have; "
                "its files are of different copies"
            )
        return numbers[pair, person]


def _of(people: list[Cameras], identities: Iterable[int]) -> list[tuple[int, int, list[Path]]]:
    return [(i, camera, paths) for i in identities for camera, paths in enumerate(people[i])]


def _records(rows: Iterable[tuple[int, int, list[Path]]]) -> list[ReIDRecord]:
    return [ReIDRecord(path, identity, camera) for identity, camera, paths in rows for path in paths]


def _load_json(path: Path, domain: str) -> Any:
    if not path.is_file():
        raise DatasetError(f"{domain}: the list {path} is missing; it belongs beside images/")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError) as error:
        raise DatasetError(f"{domain}: {path} is not JSON ({error}); it may be cut off, copy it again") from error
