"""Distances between all images of a query and a gallery set, a tile at a time."""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgreid.errors import InputError, check_one_of
from dgreid.evaluation.labels import Array, Numbers, as_numbers, as_tensor
from dgreid.evaluation.matrices import as_matrix, dtype_name, on_accelerator

Distance: TypeAlias = Literal["euclidean", "squared"]
Indices: TypeAlias = NDArray[np.integer[Any]]

PAIRS_AT_ONCE = 1024


class Distances(Protocol):
    """Distances of N = Q + G images, queries first; never negative.

    Attributes:
        queries: Q.
        size: N.
        symmetric: whether ``tile(rows, columns)`` is ``tile(columns, rows)`` transposed.
    """

    queries: int
    size: int
    symmetric: bool

    def tile(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Distances of ``rows`` to ``columns`` in a new array; either range lies in one of the two sets."""

    def pairs(self, rows: Indices, columns: Indices) -> NDArray[np.float32]:
        """(P,) distances of P pairs."""


class EmbeddingDistances:
    """The square of a distance of embeddings.

    Args:
        query: (Q, D). Products are float64 if either side is, else float32; on the gallery's device if that is no CPU.
        gallery: (G, D) likewise.
        distance: ``euclidean`` is |x - y|, so its square |x - y|^2; ``squared`` is |x - y|^2, so its square |x - y|^4.

    Raises:
        InputError: another ``distance``; not two matrices of one width, a value not finite or a distance too large.
    """

    symmetric = True

    def __init__(self, query: Array, gallery: Array, distance: Distance) -> None:
        check_one_of("distance", distance, ("euclidean", "squared"))
        self._parts = _comparable(query, gallery)
        self.queries, self.size = len(query), len(query) + len(gallery)
        self._norms = tuple(as_numbers(_row_products(part, part)) for part in self._parts)
        self._fourth_power = distance == "squared"
        longest = math.sqrt(max(float(norms.max()) for norms in self._norms))
        if (2 * longest) ** (4 if self._fourth_power else 2) > float(np.finfo(np.float32).max):
            raise InputError(
                f"distance={distance} overflows for embeddings of length {longest:.0e}; scale each row to unit length"
            )

    def tile(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """See :class:`Distances`."""
        (left, own_rows), (right, own_columns) = _part(rows, self.queries), _part(columns, self.queries)
        squares = as_numbers(self._parts[left][own_rows] @ self._parts[right][own_columns].T)
        squares *= -2
        squares += self._norms[left][own_rows, None]
        squares += self._norms[right][own_columns]
        return self._powered(np.maximum(squares, 0, out=squares))

    def pairs(self, rows: Indices, columns: Indices) -> NDArray[np.float32]:
        """See :class:`Distances`."""
        found = np.empty(rows.size, np.float32)
        for start in range(0, rows.size, PAIRS_AT_ONCE):
            some = slice(start, start + PAIRS_AT_ONCE)
            difference = self._gathered(rows[some]) - self._gathered(columns[some])
            found[some] = self._powered(_row_products(difference, difference))
        return found

    def _gathered(self, indices: Indices) -> Numbers:
        query, gallery = self._parts
        of_query = indices < self.queries
        rows = np.empty((indices.size, query.shape[1]), dtype_name(query))
        rows[of_query] = as_numbers(query[indices[of_query]])
        rows[~of_query] = as_numbers(gallery[indices[~of_query] - self.queries])
        return rows

    def _powered(self, squares: Numbers) -> NDArray[np.float32]:
        if self._fourth_power:
            squares *= squares
        return squares.astype(np.float32, copy=False)


class MatrixDistances:
    """Squares of given distances, in each row divided by its largest.

    The released procedure divides columns and then transposes: row i here is column i of the whole given matrix, which
    matters where rounding has left it asymmetric.

    Args:
        query_gallery: (Q, G), floating point.
        query_query: (Q, Q) likewise.
        gallery_gallery: (G, G) likewise.

    Raises:
        InputError: shapes do not fit each other, or a distance is not finite.
    """

    symmetric = False

    def __init__(self, query_gallery: Array, query_query: Array, gallery_gallery: Array) -> None:
        across, within_query, within_gallery = (
            as_numbers(as_matrix(matrix, f"{name} distances"))
            for matrix, name in (
                (query_gallery, "query-gallery"),
                (query_query, "query-query"),
                (gallery_gallery, "gallery-gallery"),
            )
        )
        self.queries, gallery = across.shape
        self.size = self.queries + gallery
        if within_query.shape != (self.queries,) * 2 or within_gallery.shape != (gallery,) * 2 or not across.size:
            raise InputError(
                f"distances of shapes {across.shape}, {within_query.shape} and {within_gallery.shape}; give "
                "(queries, gallery), (queries, queries) and (gallery, gallery), at least one image each"
            )
        self._given = ((within_query.T, across), (across.T, within_gallery.T))
        largest = np.concatenate([np.maximum(*map(_largest_of_rows, row)) for row in self._given])
        with np.errstate(over="ignore"):
            squares = _squares(largest)
        if not np.isfinite(squares).all():
            raise InputError(f"distances up to {largest.max():g} squared overflow float32; divide all by one number")
        self._divisors: NDArray[np.float32] = np.where(squares > 0, squares, np.float32(1))[:, None]

    def tile(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """See :class:`Distances`."""
        (left, own_rows), (right, own_columns) = _part(rows, self.queries), _part(columns, self.queries)
        return _squares(self._given[left][right][own_rows, own_columns]) / self._divisors[rows]

    def pairs(self, rows: Indices, columns: Indices) -> NDArray[np.float32]:
        """See :class:`Distances`."""
        found = np.empty(rows.size, np.float32)
        for left, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            here = ((rows >= self.queries) == left) & ((columns >= self.queries) == right)
            places = rows[here] - left * self.queries, columns[here] - right * self.queries
            found[here] = _squares(self._given[left][right][places]) / self._divisors[rows[here], 0]
        return found


def _comparable(query: Array, gallery: Array) -> tuple[Any, ...]:
    """Both as numpy arrays, or as tensors of the gallery's device if that is no CPU; of one type."""
    query, gallery = as_matrix(query, "query embeddings"), as_matrix(gallery, "gallery embeddings")
    if query.shape[1] != gallery.shape[1]:
        raise InputError(
            f"query embeddings have {query.shape[1]} columns and gallery embeddings {gallery.shape[1]}; "
            "both must come from one net"
        )
    if not len(query) or not len(gallery):
        raise InputError(f"{len(query)} queries and {len(gallery)} gallery images; give at least one each")
    matrices = query, gallery
    double = "float64" in map(dtype_name, matrices)
    if on_accelerator(gallery):
        dtype = torch.float64 if double else torch.float32
        return tuple(as_tensor(matrix).to(gallery.device, dtype) for matrix in matrices)
    return tuple(as_numbers(matrix).astype(np.float64 if double else np.float32, copy=False) for matrix in matrices)


def _row_products(left: Array, right: Array) -> Any:
    """(N,) the inner product of each row with the same row."""
    return (torch.einsum if isinstance(left, Tensor) else np.einsum)("nd,nd->n", left, right)


def _part(span: slice, queries: int) -> tuple[int, slice]:
    """Whether a range of all images lies in the queries (0) or in the gallery (1), and where there."""
    if span.stop <= queries:
        return 0, span
    return 1, slice(span.start - queries, span.stop - queries)


def _largest_of_rows(matrix: Numbers) -> Numbers:
    return np.maximum(matrix.max(axis=1), -matrix.min(axis=1))


def _squares(values: Numbers) -> NDArray[np.float32]:
    return np.square(values).astype(np.float32, copy=False)
