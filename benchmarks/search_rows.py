"""What bench_search.py measures: kinds of indexes, and with which parameters each is searched."""

from __future__ import annotations

import math
from typing import NamedTuple

IMAGES_PER_CELL = 39


class Row(NamedTuple):
    """An index, built once.

    Attributes:
        kind: ``exact`` or a factory string, in which {cells} stands for a number that suits the size.
        parameters: each is measured.
        float16: keep an exact index in half precision.
    """

    kind: str
    parameters: tuple[str, ...] = ("",)
    float16: bool = False


PROBES = tuple(f"nprobe={probes}" for probes in (4, 16, 64, 256))
REFINED = tuple(f"nprobe={probes},k_factor_rf=16" for probes in (16, 64, 256))
EFFORTS = tuple(f"efSearch={effort}" for effort in (16, 64, 256))

ROWS = {
    "exact": Row("exact"),
    "float16": Row("exact", float16=True),
    "ivf": Row("IVF{cells},Flat", PROBES),
    "ivf_sq8": Row("IVF{cells},SQ8", PROBES),
    "ivf_pq": Row("IVF{cells},PQ64x4fs,Refine(SQ8)", REFINED),
    "ivf_rabitq": Row("IVF{cells},RaBitQ,Refine(SQ8)", REFINED),
    "hnsw": Row("HNSW32", EFFORTS),
    "hnsw_sq8": Row("HNSW32,SQ8", EFFORTS),
}
SLOW_TO_BUILD = ("hnsw", "hnsw_sq8")


def kind_for(row: str, size: int) -> str:
    """The kind of a row for a gallery: about four times the square root of its size is the number of cells."""
    most = min(4 * math.sqrt(size), size / IMAGES_PER_CELL)
    return ROWS[row].kind.format(cells=2 ** max(0, int(math.log2(most))))
