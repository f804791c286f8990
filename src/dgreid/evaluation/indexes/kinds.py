"""What a kind of index asks of the vectors: how many, and which it learns from."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.indexes.recall import NEIGHBOURS
from dgreid.evaluation.indexes.vector_rows import float32_rows, parts
from dgreid.evaluation.labels import Array

EXACT = "exact"
KINDS = "exact, HNSW32, IVF1024,Flat, IVF1024,SQ8, IVF4096,PQ64"
IMAGES_PER_CELL = 39  # below, faiss warns that cells are poorly placed
TRAINING_IMAGES_PER_CELL = 256  # more it leaves out itself
TRAINING_IMAGES = 65536  # what code books of 256 entries train on at most


def require_possible(kind: str, float16: bool, count: int, recall_queries: int) -> None:
    """Refuses an approximate index that cannot be made well.

    Args:
        kind: of the index.
        float16: whether an exact index is to keep its vectors in half precision.
        count: number of vectors.
        recall_queries: how many of them are to measure its recall.

    Raises:
        InputError: half precision of another kind, a size of 0, no queries, or too few vectors for the kind.
    """
    if float16 and kind != EXACT:
        raise InputError(f"kind={kind}, float16=True: half precision is of kind=exact; write it as in IVF1024,SQfp16")
    if re.search(r"[A-Za-z]0+(?!\d)|HNSW0*1(?!\d)", kind):  # some such make faiss end the process
        raise InputError(f"kind={kind}: sizes begin at 1, links of HNSW at 2; choose for instance {KINDS}")
    if recall_queries < 1:
        raise InputError(f"recall_queries={recall_queries}: an approximate index goes with its recall; give 1 or more")
    if count <= NEIGHBOURS:
        raise InputError(
            f"kind={kind}: {count} vectors are too few to measure recall among {NEIGHBOURS} neighbours; use kind=exact"
        )
    wanted = cells(kind)
    if count < IMAGES_PER_CELL * wanted:
        fitting = 2 ** max(0, int(np.log2(count / IMAGES_PER_CELL)))
        raise InputError(
            f"kind={kind}: {wanted} cells need {IMAGES_PER_CELL * wanted} vectors ({IMAGES_PER_CELL} each), there are "
            f"{count}; use kind=exact"
            + (f" or kind={re.sub(r'IVF[0-9]+', f'IVF{fitting}', kind)}" if fitting > 1 else "")
        )


def cells(kind: str) -> int:
    """How many cells an inverted file is to have; 0 for other kinds."""
    written = re.search(r"IVF(\d+)", kind)
    return int(written[1]) if written else 0


def training_rows(vectors: Array, kind: str) -> NDArray[np.float32]:
    """What is learned from: all vectors, or as many as faiss would use, always the same."""
    wanted, size = max(TRAINING_IMAGES, TRAINING_IMAGES_PER_CELL * cells(kind)), len(vectors)
    if size <= wanted:
        return float32_rows(vectors, 0, size)
    chosen = np.sort(np.random.default_rng(0).choice(size, wanted, replace=False))
    rows = np.empty((wanted, vectors.shape[1]), dtype=np.float32)
    for start, part in parts(vectors):
        low, high = np.searchsorted(chosen, (start, start + len(part)))
        rows[low:high] = part[chosen[low:high] - start]
    return rows
