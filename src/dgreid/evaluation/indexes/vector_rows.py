"""Rows of a matrix of vectors, whatever holds it, as float32 and a part at a time: no second copy of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.labels import Array, as_numbers

PART_BYTES = 64 * 2**20


def float32_rows(vectors: Array, start: int, stop: int) -> NDArray[np.float32]:
    """Rows start..stop-1 on the CPU; without a copy if they are contiguous float32 there, memory-mapped ones too."""
    rows: Any = vectors[start:stop]
    return np.ascontiguousarray(as_numbers(rows) if isinstance(rows, torch.Tensor) else rows, dtype=np.float32)


def parts(vectors: Array) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The rows in parts of about 64 MiB of float32: (index of the first row, rows)."""
    count, dimension = vectors.shape
    length = max(1, PART_BYTES // (4 * max(1, dimension)))
    for start in range(0, count, length):
        yield start, float32_rows(vectors, start, start + length)


def require_vectors(vectors: Array, name: str, dimension: int | None = None) -> None:
    """Refuses what cannot be compared as vectors; reads all of it once.

    Args:
        vectors: (N, D) floating point numbers.
        name: what the message calls them.
        dimension: D, where it is given.

    Raises:
        InputError: not a matrix of floating point numbers, empty, of another width, or a value is not finite.
    """
    shape = tuple(vectors.shape)
    if len(shape) != 2 or 0 in shape:
        raise InputError(f"{name} have shape {shape}; give a matrix with a row for each image, at least one")
    floating = vectors.is_floating_point() if isinstance(vectors, torch.Tensor) else vectors.dtype.kind == "f"
    if not floating:
        raise InputError(f"{name} are {vectors.dtype}; give floating point numbers")
    if dimension is not None and shape[1] != dimension:
        raise InputError(f"{name} have {shape[1]} columns, the index has {dimension}; both must come from one net")
    for start, rows in parts(vectors):
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            row = start + int(np.flatnonzero(~finite)[0])
            raise InputError(f"{name}: row {row} is NaN or infinite; check the weights and the image of that row")
