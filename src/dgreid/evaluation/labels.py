"""Who is on each image, and which gallery images count for a query."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgreid.errors import InputError, check_one_of
from dgreid.types import UNKNOWN_CAMERA, SameCamera

Array: TypeAlias = Tensor | NDArray[Any]
Numbers: TypeAlias = NDArray[Any]

QUERIES_AT_ONCE = 256


class Labels(NamedTuple):
    """Who is on each image of a set, and which camera took it.

    Attributes:
        identities: (N,) integers.
        cameras: (N,) integers, -1 where unknown.
    """

    identities: Array
    cameras: Array


class Candidates(NamedTuple):
    """The gallery images that show one query's identity; ascending gallery indices.

    Attributes:
        positives: those that count as matches.
        junk: those of the query's own camera; they are taken out of its ranking.
    """

    positives: NDArray[np.int64]
    junk: NDArray[np.int64]


class CandidatePairs(NamedTuple):
    """Pairs of a query and a gallery image of its identity, by query, then by gallery index.

    Attributes:
        queries: (n,) which query, counted from the first one asked for.
        columns: (n,) gallery index.
        junk: (n,) whether the pair is taken out of the query's ranking; the others are matches.
    """

    queries: NDArray[np.int64]
    columns: NDArray[np.int64]
    junk: NDArray[np.bool_]


class CandidateLists:
    """Finds the gallery images of the queries' identities. An unknown camera (-1) is never the same camera.

    Args:
        query: labels of the queries, as :func:`as_labels` gives them.
        gallery: labels of the gallery, likewise.
        same_camera: what becomes of gallery images of the query's identity and camera: ``ignore`` takes them out of
            its ranking (the field's rule), ``keep`` counts them as matches.

    Attributes:
        longest: the most gallery images that any query's identity has.

    Raises:
        InputError: another value of ``same_camera``.
    """

    def __init__(self, query: Labels, gallery: Labels, same_camera: SameCamera = "ignore") -> None:
        check_one_of("same_camera", same_camera, ("ignore", "keep"))
        self._ignore = same_camera == "ignore"
        self._query_cameras, self._gallery_cameras = np.asarray(query.cameras), np.asarray(gallery.cameras)
        identities = np.asarray(gallery.identities)
        self._order = np.argsort(identities, kind="stable")
        self._starts = np.searchsorted(identities, query.identities, "left", sorter=self._order)
        self._counts = np.searchsorted(identities, query.identities, "right", sorter=self._order) - self._starts
        self.longest = int(self._counts.max(initial=0))

    def pairs(self, start: int, stop: int) -> CandidatePairs:
        """The pairs of queries start..stop-1."""
        counts = self._counts[start:stop]
        queries = np.repeat(np.arange(len(counts)), counts)
        before = np.cumsum(counts) - counts
        columns = self._order[np.arange(len(queries)) + np.repeat(self._starts[start:stop] - before, counts)]
        cameras = np.repeat(self._query_cameras[start:stop], counts)
        junk = (self._gallery_cameras[columns] == cameras) & (cameras != UNKNOWN_CAMERA) & self._ignore
        return CandidatePairs(queries, columns, junk)


def as_array(values: Any) -> Array:
    """A tensor or an array as it is, lists of numbers as an array."""
    return values if isinstance(values, (Tensor, np.ndarray)) else np.asarray(values)


def as_numbers(values: Array) -> Numbers:
    """The values as a numpy array on the CPU, without a copy where possible; half precision becomes float32."""
    if isinstance(values, np.ndarray) and values.dtype != np.float16:
        return values
    tensor = as_tensor(values).cpu()
    return (tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor).numpy()


def as_tensor(values: Array) -> Tensor:
    """The values as a tensor to be read only, without graph; without a copy unless an array is not contiguous."""
    if isinstance(values, Tensor):
        return values.detach()
    array = np.ascontiguousarray(values)
    if min(array.strides) < 0:  # numpy calls a single row contiguous whatever its stride; torch does not
        array = array.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.as_tensor(array)


def as_labels(labels: Labels, name: str) -> Labels:
    """Labels as int64 numpy arrays.

    Raises:
        InputError: identities and cameras are not two lists of integers of one length.
    """
    identities, cameras = (as_numbers(as_array(values)) for values in labels)
    if identities.ndim != 1 or identities.shape != cameras.shape:
        raise InputError(
            f"{name}: identities have shape {identities.shape} and cameras {cameras.shape}; "
            "give one identity and one camera (-1 if unknown) for each image"
        )
    if identities.size and (identities.dtype.kind not in "iu" or cameras.dtype.kind not in "iu"):
        raise InputError(f"{name}: identities and cameras are {identities.dtype} and {cameras.dtype}; give integers")
    return Labels(identities.astype(np.int64), cameras.astype(np.int64))


def require_row_each(rows: Array, labels: Labels, name: str) -> None:
    """Refuses embeddings that are more or fewer than the labels.

    Raises:
        InputError: as said.
    """
    if len(rows) != len(labels.identities):
        raise InputError(
            f"{name}: {len(rows)} embeddings but {len(labels.identities)} identities; give one row for each image"
        )


def candidates(query: Labels, gallery: Labels, same_camera: SameCamera = "ignore") -> Iterator[Candidates]:
    """For each query in turn the gallery images of its identity; arguments and errors of :class:`CandidateLists`."""
    lists = CandidateLists(query, gallery, same_camera)
    count = len(query.identities)
    for start in range(0, count, QUERIES_AT_ONCE):
        stop = min(start + QUERIES_AT_ONCE, count)
        pairs = lists.pairs(start, stop)
        bounds = np.searchsorted(pairs.queries, np.arange(stop - start + 1))
        for left, right in pairwise(bounds.tolist()):
            columns, junk = pairs.columns[left:right], pairs.junk[left:right]
            yield Candidates(columns[~junk], columns[junk])
