"""MSMT17's layout: lists say which image is whose, and test identities start at 0 again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dgreid.synthetic.census import Appearance, Census
from dgreid.synthetic.layouts.base import Layout, PlannedFile
from dgreid.synthetic.shot import Portrait

HOURS = ("morning", "noon", "afternoon")
LISTS = ("train", "val", "query", "gallery")


class MSMT17Layout(Layout):
    """``train/`` and ``test/`` with a folder per identity; each identity's last training image is in ``list_val``."""

    def files(self, census: Census) -> Iterator[PlannedFile]:
        """See ``Layout.files``."""
        for shown in census.appearances():
            folder = "train" if shown.subset == "train" else "test"
            path = f"{folder}/{_path(shown, census.size.train_identities)}"
            yield PlannedFile(path, Portrait(shown.person, shown.camera, shown.shot))

    def lists(self, census: Census) -> Mapping[str, str]:
        """See ``Layout.lists``; a line is a path below ``train/`` or ``test/`` and the identity."""
        lines: dict[str, list[str]] = {name: [] for name in LISTS}
        for shown in census.appearances():
            validation = shown.subset == "train" and shown.image == census.size.images_per_identity - 1
            path = _path(shown, census.size.train_identities)
            lines["val" if validation else shown.subset].append(f"{path} {int(path[:4])}\n")
        return {f"list_{name}.txt": "".join(lines[name]) for name in LISTS}


def _path(shown: Appearance, train_identities: int) -> str:
    label = shown.person if shown.subset == "train" else shown.person - train_identities
    hour = f"0303{HOURS[shown.shot % len(HOURS)]}"
    frame = 15 + 7 * shown.image
    return f"{label:04d}/{label:04d}_{shown.image:03d}_{shown.camera + 1:02d}_{hour}_{frame:04d}_0.jpg"
