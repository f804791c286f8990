"""Embeddings are matrices of finite floating point numbers; nothing else is compared."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from dgreid.errors import InputError
from dgreid.evaluation.labels import Array, as_numbers, as_tensor

FLOATS = ("float16", "bfloat16", "float32", "float64")
ROWS_AT_ONCE = 512


def on_accelerator(values: Array) -> bool:
    """Whether the values are a tensor outside the CPU's memory."""
    return isinstance(values, Tensor) and values.device.type != "cpu"


def dtype_name(values: Array) -> str:
    """Such as ``float32``, of a tensor or an array."""
    return str(values.dtype).removeprefix("torch.")


def as_matrix(embeddings: Array, name: str) -> Array:
    """The embeddings without their graph, where they are and as precise as they are.

    Args:
        embeddings: (N, D).
        name: what to call them in messages.

    Raises:
        InputError: not a matrix of floating point numbers, or a value is NaN, infinite, or so large that a product
            could overflow.
    """
    matrix = embeddings.detach() if isinstance(embeddings, Tensor) else np.asarray(embeddings)
    if matrix.ndim != 2:
        raise InputError(f"{name} have shape {tuple(matrix.shape)}; give a matrix with a row for each image")
    if dtype_name(matrix) not in FLOATS:
        raise InputError(f"{name} are {dtype_name(matrix)}; give floating point numbers ({', '.join(FLOATS)})")
    _require_finite(matrix, name)
    return matrix


def _require_finite(matrix: Array, name: str) -> None:
    """One pass and no second matrix: where the sum of squares is finite, so is every value and every inner product."""
    totals = []
    with np.errstate(all="ignore"):
        for start in range(0, len(matrix), ROWS_AT_ONCE):
            part = _wide(matrix[start : start + ROWS_AT_ONCE]).reshape(-1)
            totals.append(part @ part)
    for number, total in enumerate(totals):  # only now, so that a GPU is waited for once
        if not math.isfinite(total):
            raise _not_finite(matrix, number * ROWS_AT_ONCE, name)


def _wide(part: Array) -> Array:
    if on_accelerator(part):
        return part if dtype_name(part) in ("float32", "float64") else as_tensor(part).float()
    return as_numbers(part)


def _not_finite(matrix: Array, start: int, name: str) -> InputError:
    part = as_numbers(matrix[start : start + ROWS_AT_ONCE])
    wrong = np.flatnonzero(~np.isfinite(part).all(axis=1))
    if wrong.size:
        row = start + int(wrong[0])
        return InputError(f"{name}: row {row} is NaN or infinite; check the weights and the image of that row")
    return InputError(
        f"{name}: values up to {np.abs(part).max():.0e} overflow when they are multiplied in {part.dtype}; "
        "scale each row to unit length"
    )
