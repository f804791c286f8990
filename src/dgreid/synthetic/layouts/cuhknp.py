"""CUHK03-NP's layout: PNG files below ``detected/``; the camera of a name is the view of a pair, 1 or 2."""

from __future__ import annotations

from collections.abc import Iterator

from dgreid.synthetic.census import Census
from dgreid.synthetic.layouts.base import Layout, PlannedFile
from dgreid.synthetic.layouts.market1501 import FOLDERS
from dgreid.synthetic.shot import Portrait


class CUHKNPLayout(Layout):
    """For domains whose cameras hang in pairs."""

    def files(self, census: Census) -> Iterator[PlannedFile]:
        """See ``Layout.files``."""
        labels = census.labels()
        for shown in census.appearances():
            name = f"{labels[shown.person]:04d}_c{shown.camera % 2 + 1}_{shown.image:02d}.png"
            path = f"detected/{FOLDERS[shown.subset]}/{name}"
            yield PlannedFile(path, Portrait(shown.person, shown.camera, shown.shot))
