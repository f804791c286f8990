"""MSMT17 V2: the same images as V1 with blurred faces."""

from __future__ import annotations

from dgreid.data.domains.msmt17 import ORIGINAL_NAMES, ListedLayout, ListedMSMT17


class MSMT17V2(ListedMSMT17):
    """The version that the authors hand out today."""

    name = "msmt17v2"
    version = "V2"
    places = ("msmt17v2/MSMT17_V2", "msmt17/MSMT17_V2", "MSMT17_V2", "msmt17v2")
    belongs = (
        "mask_train_v2/ and mask_test_v2/ of MSMT17_V2, and list_train.txt, list_val.txt, list_query.txt, "
        "list_gallery.txt"
    )
    layouts = (
        ListedLayout({"train": "mask_train_v2", "query": "mask_test_v2", "gallery": "mask_test_v2"}, ORIGINAL_NAMES),
    )
