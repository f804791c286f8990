"""DukeMTMC-reID's layout: ``0001_c2_f0046182.jpg`` in three folders."""

from __future__ import annotations

from collections.abc import Iterator

from dgreid.synthetic.census import Census
from dgreid.synthetic.layouts.base import Layout, PlannedFile
from dgreid.synthetic.layouts.market1501 import FOLDERS
from dgreid.synthetic.shot import Portrait


class DukeMTMCLayout(Layout):
    """As Market-1501's, with other names and neither junk nor distractors."""

    def files(self, census: Census) -> Iterator[PlannedFile]:
        """See ``Layout.files``."""
        labels = census.labels()
        for shown in census.appearances():
            frame = 40_000 + 7 * shown.person + 120 * shown.shot
            name = f"{labels[shown.person]:04d}_c{shown.camera + 1}_f{frame:07d}.jpg"
            path = f"{FOLDERS[shown.subset]}/{name}"
            yield PlannedFile(path, Portrait(shown.person, shown.camera, shown.shot))
