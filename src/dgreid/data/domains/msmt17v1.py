"""MSMT17 V1: the images as first published."""

from __future__ import annotations

from dgreid.data.domains.market_style import MARKET_FOLDERS, MARKET_PATTERN
from dgreid.data.domains.msmt17 import ORIGINAL_NAMES, ListedLayout, ListedMSMT17


class MSMT17V1(ListedMSMT17):
    """The original folders, or those of M3L's release: Market-1501's, files renamed, in the lists too."""

    name = "msmt17v1"
    version = "V1"
    places = ("msmt17v1/MSMT17_V1", "msmt17/MSMT17_V1", "MSMT17_V1", "msmt17v1")
    belongs = (
        "train/ and test/ (or, converted, bounding_box_train/, query/ and bounding_box_test/) of MSMT17_V1, and "
        "list_train.txt, list_val.txt, list_query.txt, list_gallery.txt"
    )
    layouts = (
        ListedLayout({"train": "train", "query": "test", "gallery": "test"}, ORIGINAL_NAMES),
        ListedLayout(MARKET_FOLDERS, MARKET_PATTERN),
    )
