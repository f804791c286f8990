"""Market-1501 (Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from dgreid.data.domains.base import Counts, Subset
from dgreid.data.domains.market_style import MarketStyleDomain


class Market1501(MarketStyleDomain):
    """Six cameras; junk (-1) is dropped, distractors (0) stay in the gallery and are never trained on."""

    name = "market1501"
    family = "market1501"
    version = "v15.09.15"
    expected: Mapping[Subset, Counts] = MappingProxyType(
        {"train": Counts(751, 12_936), "query": Counts(750, 3_368), "gallery": Counts(750, 15_913)}
    )
    distractors = frozenset({0})
    highest_identity = 1501
    highest_camera = 5
    places = ("market1501/Market-1501-v15.09.15", "Market-1501-v15.09.15", "market1501")
    belongs = (
        "bounding_box_train/, query/ and bounding_box_test/ of Market-1501-v15.09.15, names such as "
        "0002_c1s1_000451_03.jpg"
    )
    obtain = "free for research; the authors' page and its mirrors (search 'Market-1501-v15.09.15.zip')"
    own_names = re.compile(r"-?\d+_c\d+s\d+_")
