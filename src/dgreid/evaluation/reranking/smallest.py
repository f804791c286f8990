"""The smallest entries of each row of a matrix that comes tile by tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

INDEX_BITS = 32
NO_INDEX = 2**31 - 1


class SmallestOfRows:
    """Keeps the k smallest entries of each row, and nothing else of the matrix; ties by the smaller column.

    Value and column share one 64-bit key whose order is that of the pairs (value, column), so a partition of
    integers selects them exactly.

    Args:
        rows: of the matrix.
        count: k, at most the number of columns.
    """

    def __init__(self, rows: int, count: int) -> None:
        self.count = count
        self._keys = np.full((rows, count), _keys(np.float32(np.inf), np.int64(NO_INDEX)))

    def offer(self, rows: slice, columns: slice, values: NDArray[np.float32]) -> None:
        """Takes a tile, which no earlier tile may overlap.

        Args:
            rows: where it lies.
            columns: likewise.
            values: its entries, finite; a transposed tile is as welcome.
        """
        row, column = _places(values <= self._limits(rows, values)[:, None])
        hits = np.bincount(row, minlength=len(values))
        touched = np.flatnonzero(hits)
        if not touched.size:
            return
        contenders = np.full((touched.size, self.count + hits.max()), np.iinfo(np.int64).max)
        contenders[:, : self.count] = self._keys[rows][touched]
        behind = self.count + np.arange(row.size) - np.repeat(np.cumsum(hits) - hits, hits)
        line = np.repeat(np.arange(touched.size), hits[touched])
        contenders[line, behind] = _keys(values[row, column], column + columns.start)
        contenders.partition(self.count - 1, axis=1)
        self._keys[rows.start + touched] = contenders[:, : self.count]

    def sorted(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Columns and values, (rows, k) each, by (value, column) ascending; every column must have been offered."""
        keys = np.sort(self._keys, axis=1)
        return (keys & NO_INDEX).astype(np.int32), _values(keys)

    def _limits(self, rows: slice, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What an entry of each row must not exceed to be among the smallest: the largest that is kept."""
        limits = _values(self._keys[rows, -1])  # a partition puts the largest of them last
        if np.isinf(limits).any() and values.shape[1] > self.count:
            limits = np.minimum(limits, np.partition(values, self.count - 1, axis=1)[:, self.count - 1])
        return limits


def _places(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of what is true, by row; the mask is read in the order in which it lies in memory."""
    if mask.flags.c_contiguous:
        row, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
        return row, column
    column, row = np.divmod(np.flatnonzero(mask.T), mask.shape[0])
    order = np.argsort(row, kind="stable")
    return row[order], column[order]


def _keys(values: NDArray[np.float32] | np.float32, columns: NDArray[np.int64] | np.int64) -> NDArray[np.int64]:
    """Integers in the order of (value, column)."""
    bits = (np.asarray(values) + np.float32(0)).view(np.int32)  # adding zero leaves one zero, the positive one
    return np.left_shift(_ordered(bits).astype(np.int64), INDEX_BITS) | columns


def _values(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    return _ordered(np.right_shift(keys, INDEX_BITS).astype(np.int32)).view(np.float32)


def _ordered(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """The bits of floats as integers of the same order, and back: those of negative floats run the other way."""
    return bits ^ (np.right_shift(bits, 31) & np.int32(NO_INDEX))
