"""Embeddings at unit length, where the inner product is the cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError

TOLERANCE = 1e-3
ROWS_AT_ONCE = 4096


def row_lengths(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """The Euclidean length of each row: (N,), summed in float64."""
    lengths = np.empty(len(embeddings))
    for start in range(0, len(embeddings), ROWS_AT_ONCE):  # in parts: no second matrix of their size
        lengths[start : start + ROWS_AT_ONCE] = np.linalg.norm(
            embeddings[start : start + ROWS_AT_ONCE].astype(np.float64), axis=1
        )
    return lengths


def at_unit_length(embeddings: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """The embeddings themselves if each is 1 long to within 1e-3, else a copy in which each row is.

    Args:
        embeddings: (N, D) finite.
        name: for the message.

    Raises:
        InputError: a row is 0 and so has no direction.
    """
    lengths = row_lengths(embeddings)
    if not lengths.all():
        raise InputError(
            f"{name}: embedding of row {int(np.flatnonzero(lengths == 0)[0])} is 0, so it has no direction to compare; "
            "find out what made it, or leave its image out of the protocol"
        )
    if np.abs(lengths - 1).max() <= TOLERANCE:
        return embeddings
    scaled = np.empty_like(embeddings)
    for start in range(0, len(embeddings), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        np.divide(embeddings[part], lengths[part, None], out=scaled[part], casting="same_kind")
    return scaled
