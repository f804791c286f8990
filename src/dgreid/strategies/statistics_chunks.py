"""The option ``statistics_chunks`` of strategies."""

from __future__ import annotations

from dgreid.batch_parts import BatchParts
from dgreid.errors import InputError


def parts_of(statistics_chunks: int) -> BatchParts:
    """So many parts of each batch.

    Raises:
        InputError: it is no number of parts.
    """
    if type(statistics_chunks) is not int or statistics_chunks < 1:
        raise InputError(f"statistics_chunks={statistics_chunks}: a whole number of at least 1; 1 for one device.")
    return BatchParts(statistics_chunks)
