"""Market-1501's layout: ``0002_c1s1_000451_03.jpg``, with junk (-1) and distractors (0000) in the gallery folder."""

from __future__ import annotations

from collections.abc import Iterator

from dgreid.synthetic.census import Census
from dgreid.synthetic.layouts.base import Layout, PlannedFile
from dgreid.synthetic.shot import Mishap, Portrait

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}


class Market1501Layout(Layout):
    """One distractor per test identity (a stranger) and one junk image per two (a badly cut box)."""

    def files(self, census: Census) -> Iterator[PlannedFile]:
        """See ``Layout.files``."""
        labels = census.labels()
        for shown in census.appearances():
            name = _name(f"{labels[shown.person]:04d}", shown.camera, 7 * shown.person + 25 * shown.shot)
            folder = FOLDERS[shown.subset]
            yield PlannedFile(f"{folder}/{name}", Portrait(shown.person, shown.camera, shown.shot))
        for stranger in range(self.distractors(census)):
            camera = stranger % census.cameras
            path = f"{FOLDERS['gallery']}/{_name('0000', camera, stranger)}"
            yield PlannedFile(path, Portrait(census.size.identities + stranger, camera, 0))
        for number in range(census.size.test_identities // 2):
            camera = number % census.cameras
            yield PlannedFile(f"{FOLDERS['gallery']}/{_name('-1', camera, number)}", Mishap(camera, number))

    def distractors(self, census: Census) -> int:
        """See ``Layout.distractors``."""
        return census.size.test_identities


def _name(label: str, camera: int, frame: int) -> str:
    return f"{label}_c{camera + 1}s1_{frame:06d}_01.jpg"
