"""How many queries are handled at once, from a memory budget."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dgreid.errors import InputError

MEMORY_LIMIT = 256.0  # MiB
BLOCK_QUERIES = 1024  # longer blocks make a matrix product no faster

BYTES_OF_SCORE = 8  # float64; where scores are float32, half of it is left for what is computed from them
BYTES_OF_COLUMN = 40  # copies of a row's highest scores, and the masks that find them, on two threads
BYTES_OF_CANDIDATE = 160  # some twenty arrays with an element for each pair of a query and an image of its identity


def queries_per_block(gallery_size: int, memory_limit: float = MEMORY_LIMIT, candidates_per_query: int = 0) -> int:
    """How many queries' similarities to the gallery, and what is computed from them, fit in memory; at most 1024.

    Args:
        gallery_size: number of gallery images.
        memory_limit: MiB, for one block of similarities (float64 at most) and the work on it.
        candidates_per_query: the most gallery images of a query's identity, where all of them are looked at.

    Raises:
        InputError: not even one query fits.
    """
    once = BYTES_OF_COLUMN * gallery_size
    each = max(1, BYTES_OF_SCORE * gallery_size + BYTES_OF_CANDIDATE * candidates_per_query)
    available = memory_limit * 2**20
    if not available >= once + each:
        needed = math.ceil((once + each) / 2**20)
        raise InputError(
            f"memory_limit={memory_limit:g}: one query against {gallery_size} gallery images needs {needed} MiB; "
            f"give memory_limit={needed} or more"
        )
    return int(min(BLOCK_QUERIES, (available - once) // each))


def block_ranges(queries: int, size: int) -> Iterator[tuple[int, int]]:
    """Adjoining ranges (start, stop) of ``size`` queries; the last one may be shorter."""
    for start in range(0, queries, size):
        yield start, min(start + size, queries)
