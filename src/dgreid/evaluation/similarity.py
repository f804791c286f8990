"""Similarities of queries to a gallery, a block of queries at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT, block_ranges, queries_per_block
from dgreid.evaluation.labels import Array, Numbers, as_array, as_numbers, as_tensor
from dgreid.evaluation.matrices import as_matrix, dtype_name, on_accelerator

ScoreBlock: TypeAlias = Callable[[int, int], Array]
"""``block(start, stop)`` is (stop - start, G): how similar queries start..stop-1 are to each gallery image."""

TILE_BYTES = 16 * 2**20  # of the gallery, widened at once


def embedding_blocks(query: Array, gallery: Array) -> ScoreBlock:
    """Inner products of embeddings, which are compared as they are given, where the gallery is.

    The inner product ranks like the cosine, and like the Euclidean distance, only at unit length.

    Products are float64 if either side is, else float32: half precision is widened piece by piece before it is
    multiplied. On a GPU they are rounded as torch's matrix product rounds there; TF32 costs digits and makes ties, and
    is used only where the user turned it on (``torch.backends.cuda.matmul``, ``torch.set_float32_matmul_precision``).

    Args:
        query: (Q, D) at unit length.
        gallery: (G, D) likewise.

    Returns:
        A function that overwrites its previous block: one buffer serves all blocks.

    Raises:
        InputError: not two matrices of one width, or a value is not finite.
    """
    query, gallery = as_matrix(query, "query embeddings"), as_matrix(gallery, "gallery embeddings")
    if query.shape[1] != gallery.shape[1]:
        raise InputError(
            f"query embeddings have {query.shape[1]} columns and gallery embeddings {gallery.shape[1]}; "
            "both must come from one net"
        )
    product = _Product(
        torch.float64 if "float64" in (dtype_name(query), dtype_name(gallery)) else torch.float32,
        gallery.device if isinstance(gallery, Tensor) and on_accelerator(gallery) else None,
    )
    size, width = gallery.shape
    is_wide = product.dtype is getattr(torch, dtype_name(gallery))
    tile = max(1, size if is_wide else TILE_BYTES // (product.dtype.itemsize * max(1, width)))
    room = product.empty(0 if is_wide else min(tile, size), width)
    buffer = product.empty(0, size)

    def block(start: int, stop: int) -> Array:
        nonlocal buffer
        if len(buffer) < stop - start:
            buffer = product.empty(stop - start, size)
        queries, scores = product.bring(query[start:stop]), buffer[: stop - start]
        for first in range(0, size, tile):
            columns = slice(first, first + tile)
            images = gallery[columns] if is_wide else product.widen(gallery[columns], room)
            product.multiply(queries, product.bring(images), out=scores[:, columns])
        return scores

    return block


def matrix_blocks(similarities: Array) -> ScoreBlock:
    """Blocks of a (Q, G) matrix that exists already; larger is more similar (negate distances)."""
    matrix = as_array(similarities)
    return lambda start, stop: matrix[start:stop]


def checked_block(block: ScoreBlock, start: int, stop: int, gallery_size: int) -> Array:
    """A block as float32 or float64: a tensor where it lies on an accelerator, else a numpy array.

    Half precision becomes float32; integers, and what is wider than float64, are rounded to float64.

    Raises:
        InputError: the gallery is empty, or the block has the wrong shape.
    """
    if not gallery_size:
        raise InputError("the gallery is empty; give at least one gallery image")
    scores = as_array(block(start, stop))
    if tuple(scores.shape) != (stop - start, gallery_size):
        raise InputError(
            f"similarities of queries {start}..{stop - 1} have shape {tuple(scores.shape)}, expected "
            f"{(stop - start, gallery_size)}: a row for each query, a column for each gallery image"
        )
    if isinstance(scores, Tensor) and on_accelerator(scores):
        if scores.dtype in (torch.float32, torch.float64):
            return scores.detach()
        return scores.detach().float() if scores.is_floating_point() else scores.double()
    numbers = as_numbers(scores)
    return numbers if numbers.dtype in (np.float32, np.float64) else numbers.astype(np.float64)


def score_rows(
    block: ScoreBlock, queries: int, gallery_size: int, memory_limit: float = MEMORY_LIMIT
) -> Iterator[Numbers]:
    """The similarities of each query in turn, (G,) on the CPU; a row holds only until the next one is drawn.

    Args:
        block: the similarities.
        queries: how many queries there are.
        gallery_size: how many gallery images.
        memory_limit: MiB for the blocks.

    Raises:
        InputError: the gallery is empty, a block has the wrong shape or holds NaN, or one row exceeds the memory.
    """
    for start, stop in block_ranges(queries, queries_per_block(gallery_size, memory_limit)):
        scores = as_numbers(checked_block(block, start, stop, gallery_size))
        if np.isnan(scores.min()):  # the minimum passes NaN on and needs no second matrix
            raise nan_error(start + int(np.flatnonzero(np.isnan(scores).any(axis=1))[0]))
        yield from scores
        del scores


def nan_error(query: int) -> InputError:
    """What to say of a query whose similarities hold NaN."""
    return InputError(f"similarities of query {query} contain NaN; find what made its embedding")


class _Product(NamedTuple):
    """In what precision and where a matrix product is computed.

    Attributes:
        dtype: float32 or float64.
        device: None for numpy, whose BLAS is the faster one on CPUs; else torch's device.
    """

    dtype: torch.dtype
    device: torch.device | None

    def bring(self, part: Array) -> Any:
        """The rows there and in that precision; themselves where they are so already."""
        if self.device is None:
            return as_numbers(part).astype(str(self.dtype).removeprefix("torch."), copy=False)
        return as_tensor(part).to(self.device, self.dtype)

    def widen(self, part: Array, room: Any) -> Any:
        """The rows in that precision, written where the rows before them were."""
        rows = room[: len(part)]
        torch.as_tensor(rows).copy_(as_tensor(part))
        return rows

    def empty(self, rows: int, columns: int) -> Any:
        """A matrix to write to."""
        matrix = torch.empty(rows, columns, dtype=self.dtype, device=self.device or "cpu")
        return matrix.numpy() if self.device is None else matrix

    def multiply(self, rows: Any, columns: Any, out: Any) -> None:
        """Writes the inner products of rows with columns, both (N, D)."""
        (np.matmul if self.device is None else torch.matmul)(rows, columns.T, out=out)
