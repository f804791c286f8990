"""CUHK03 in the new protocol (Zhong et al., Re-ranking Person Re-identification, CVPR 2017): 767 / 700 identities."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from dgreid.data.cuhk03_mat import Crops
from dgreid.data.domains import cuhk03_release as release
from dgreid.data.domains.base import Counts, DatasetError, Subset
from dgreid.data.domains.market_style import has_market_folders, has_market_names, market_lists
from dgreid.data.domains.published import PublishedDomain
from dgreid.errors import check_one_of
from dgreid.types import ReIDRecord

EXPECTED: Mapping[str, Mapping[Subset, Counts]] = {
    "detected": {"train": Counts(767, 7_365), "query": Counts(700, 1_400), "gallery": Counts(700, 5_332)},
    "labeled": {"train": Counts(767, 7_368), "query": Counts(700, 1_400), "gallery": Counts(700, 5_328)},
}
OWN_NAMES = re.compile(r"\d+_c[12]_\d+\.png$")


class CUHKNP(PublishedDomain):
    """Two cameras: the views of a pair, not the ten physical ones.

    Read from folders of PNG files in Market-1501's layout, or from CUHK03's own release with the protocol's split file.
    """

    name = "cuhknp"
    family = "cuhk03"
    highest_camera = 1
    obtain = release.OBTAIN + "; the split files are public"

    def __init__(self, *, data_root: str | Path | None, name: str | None = None, crops: Crops = "detected") -> None:
        super().__init__(data_root=data_root, name=name)
        check_one_of(f"{self.name}: crops", crops, EXPECTED)
        self.crops = crops
        self.places = (f"cuhknp/{crops}", f"cuhk03-np/{crops}", crops, *release.PLACES)
        self.belongs = (
            f"a folder {crops}/ with bounding_box_train/, query/ and bounding_box_test/ (PNG files), or "
            f"{release.RELEASE}/{release.MAT} (or {release.crop_folder(crops)}/) with "
            f"cuhk03_new_protocol_config_{crops}.mat"
        )

    @property
    def version(self) -> str:
        """Protocol and crops."""
        return f"new protocol 767/700, {self.crops}"

    @property
    def expected(self) -> Mapping[Subset, Counts]:
        """Published sizes, which differ between crops."""
        return EXPECTED[self.crops]

    def holds(self, folder: Path) -> bool:
        """Folders in Market-1501's layout, extracted crops, or the .mat."""
        return has_market_folders(folder) or release.has_crops(folder, self.crops)

    def is_bare(self, folder: Path) -> bool:
        """CUHK03's release, or PNG folders that no name gives to the other crops."""
        others = set(get_args(Crops)) - {self.crops}
        named_otherwise = folder.name in others
        return release.has_crops(folder, self.crops) or (has_market_names(folder, OWN_NAMES) and not named_otherwise)

    def list_images(self) -> Mapping[Subset, list[ReIDRecord]]:
        """Reads the PNG folders, or crops and split file; see ``Domain.list_images``."""
        if has_market_folders(self.root):
            return market_lists(self.root, self.name)
        split = release.read_new_protocol(self.root, self.crops, self.name)
        paths = release.list_crops(self.root, self.crops, self.name)
        return {subset: [self._record(paths, *row) for row in rows] for subset, rows in split.items()}

    def _record(self, paths: Mapping[str, Path], stem: str, identity: int) -> ReIDRecord:
        if stem not in paths:
            raise DatasetError(
                f"{self.name}: the split file names {stem}, which is not among the {len(paths):,} {self.crops} images "
                f"below {self.root}; split file and images are of different crops, or extraction was interrupted"
            )
        return ReIDRecord(paths[stem], identity, release.crop_numbers(stem, paths[stem], self.name)[2] - 1)
