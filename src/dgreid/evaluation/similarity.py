"""Similarities of queries to a gallery, a block of queries at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from dgreid.errors import InputError
from dgreid.evaluation.labels import Array, Numbers, as_numbers

ScoreBlock: TypeAlias = Callable[[int, int], Array]
"""``block(start, stop)`` is (stop - start, G): how similar queries start..stop-1 are to each gallery image."""

BLOCK_BYTES = 128 * 2**20
BLOCK_QUERIES = 512  # longer blocks make a matrix product no faster


def embedding_blocks(query: Array, gallery: Array) -> ScoreBlock:
    """Inner products of embeddings, which are compared as they are given.

    The inner product ranks like the cosine, and like the Euclidean distance, only at unit length.

    Args:
        query: (Q, D) at unit length; float64 is compared in float64, all else in float32.
        gallery: (G, D) likewise.

    Returns:
        A function that overwrites its previous block: one buffer serves all blocks.

    Raises:
        InputError: not two matrices of one width, or a value is not finite.
    """
    queries, targets = _floats(query, "query embeddings"), _floats(gallery, "gallery embeddings")
    if queries.shape[1] != targets.shape[1]:
        raise InputError(
            f"query embeddings have {queries.shape[1]} columns and gallery embeddings {targets.shape[1]}; "
            "both must come from one net"
        )
    dtype = np.result_type(queries, targets)
    queries, targets = queries.astype(dtype, copy=False), targets.astype(dtype, copy=False)
    buffer = np.empty((min(queries.shape[0], queries_per_block(targets.shape[0])), targets.shape[0]), dtype)

    def block(start: int, stop: int) -> Numbers:
        return np.matmul(queries[start:stop], targets.T, out=buffer[: stop - start])

    return block


def matrix_blocks(similarities: Array) -> ScoreBlock:
    """Blocks of a (Q, G) matrix that exists already; larger is more similar (negate distances)."""
    matrix = as_numbers(similarities)
    return lambda start, stop: matrix[start:stop]


def queries_per_block(gallery_size: int) -> int:
    """Queries whose similarities to the gallery, in float64 at most, fit in a block."""
    return max(1, min(BLOCK_QUERIES, BLOCK_BYTES // (8 * max(1, gallery_size))))


def score_rows(block: ScoreBlock, queries: int, gallery_size: int) -> Iterator[Numbers]:
    """The similarities of each query in turn, (G,); a row holds only until the next one is drawn.

    Raises:
        InputError: the gallery is empty, a block has the wrong shape or holds NaN.
    """
    if not gallery_size:
        raise InputError("the gallery is empty; give at least one gallery image")
    size = queries_per_block(gallery_size)
    for start in range(0, queries, size):
        stop = min(start + size, queries)
        scores = as_numbers(block(start, stop))
        if scores.shape != (stop - start, gallery_size):
            raise InputError(
                f"similarities of queries {start}..{stop - 1} have shape {scores.shape}, expected "
                f"{(stop - start, gallery_size)}: a row for each query, a column for each gallery image"
            )
        if np.isnan(scores.min()):  # the minimum passes NaN on and needs no second matrix
            row = start + int(np.flatnonzero(np.isnan(scores).any(axis=1))[0])
            raise InputError(f"similarities of query {row} contain NaN; find what made its embedding")
        yield from scores


def _floats(embeddings: Array, name: str) -> Numbers:
    numbers = as_numbers(embeddings)
    if numbers.ndim != 2:
        raise InputError(f"{name} have shape {numbers.shape}; give a matrix with a row for each image")
    if numbers.dtype not in (np.float32, np.float64):
        raise InputError(f"{name} are {numbers.dtype}; give floating point numbers")
    for start in range(0, numbers.shape[0], BLOCK_QUERIES):  # in blocks: no second matrix of their size
        finite = np.isfinite(numbers[start : start + BLOCK_QUERIES]).all(axis=1)
        if not finite.all():
            row = start + int(np.flatnonzero(~finite)[0])
            raise InputError(f"{name}: row {row} is NaN or infinite; check the weights and the image of that row")
    return numbers
