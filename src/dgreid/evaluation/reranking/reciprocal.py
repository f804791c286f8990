"""k-reciprocal neighbours: images that are among each other's nearest (Zhong et al., CVPR 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dgreid.evaluation.reranking.distances import Distances, Indices
from dgreid.evaluation.reranking.smallest import SmallestOfRows

COMPARISONS_AT_ONCE = 2**18
LONGEST_TILE = 1024  # longer tiles make a matrix product no faster
BYTES_OF_DISTANCE = 64  # in a tile, with the copies and masks that find the smallest, even if all are tied


class Nearest(NamedTuple):
    """The nearest images of every image, itself among them.

    Attributes:
        indices: (N, k) images by (distance, index) ascending.
        distances: (N, k) divided by the image's farthest.
        farthest: (N,) the largest distance of an image to any; 1 where all are 0.
    """

    indices: Indices
    distances: NDArray[np.float32]
    farthest: NDArray[np.float32]


def nearest_images(distances: Distances, count: int, memory_limit: float) -> Nearest:
    """Looks at every distance once, and at only half of them where they are symmetric.

    Args:
        distances: of all images.
        count: k, at most N.
        memory_limit: MiB for a tile and the work on it.
    """
    tile_length = max(1, min(LONGEST_TILE, math.isqrt(int(memory_limit * 2**20 // BYTES_OF_DISTANCE))))
    spans = [
        slice(start, min(start + tile_length, end))
        for begin, end in ((0, distances.queries), (distances.queries, distances.size))
        for start in range(begin, end, tile_length)
    ]
    smallest = SmallestOfRows(distances.size, count)
    farthest = np.zeros(distances.size, np.float32)
    for number, rows in enumerate(spans):
        for other, columns in enumerate(spans[number:] if distances.symmetric else spans):
            tile = distances.tile(rows, columns)
            smallest.offer(rows, columns, tile)
            np.maximum(farthest[rows], tile.max(axis=1), out=farthest[rows])
            if distances.symmetric and other:
                smallest.offer(columns, rows, tile.T)
                np.maximum(farthest[columns], tile.max(axis=0), out=farthest[columns])
    farthest[farthest == 0] = 1
    indices, values = smallest.sorted()
    return Nearest(indices, values / farthest[:, None], farthest)


def neighbour_vectors(nearest: Nearest, distances: Distances, k1: int, k2: int) -> csr_array:
    """Each image as weights over its k-reciprocal neighbours, which sum to 1.

    The neighbours of an image are those among its k1 + 1 nearest that have it among theirs. A neighbour's own such set
    for k1 / 2 (rounded to even) joins if more than two thirds of it are neighbours already. The weight is
    exp(-distance / farthest), and each vector is then averaged over the k2 nearest images (unless k2 = 1).

    Args:
        nearest: at least max(k1 + 1, k2) images each, or all there are.
        distances: of all images.
        k1: neighbours of an image besides itself.
        k2: images over whose vectors is averaged, itself included.

    Returns:
        (N, N).
    """
    rows, columns, weights = (np.concatenate(parts) for parts in zip(*_weighted(nearest, distances, k1), strict=True))
    starts = np.searchsorted(rows, np.arange(distances.size + 1))
    vectors = csr_array((weights, columns, starts), shape=(distances.size, distances.size))
    return vectors if k2 == 1 else _averaged(vectors, nearest.indices[:, :k2])


def _weighted(
    nearest: Nearest, distances: Distances, k1: int
) -> Iterator[tuple[Indices, Indices, NDArray[np.float32]]]:
    """Rows, columns and weights of the vectors, ascending, some images at a time."""
    whole, half = nearest.indices[:, : k1 + 1], nearest.indices[:, : round(k1 / 2) + 1]  # round() rounds halves to even
    mutual, half_mutual = _mutual(whole), _mutual(half)
    for images in _chunks(distances.size, whole.shape[1] * half.shape[1]):
        rows, columns = _expanded(images, whole, mutual, half, half_mutual)
        weights = np.exp(-_between(rows, columns, images, nearest, distances))
        line = rows - images.start
        weights /= np.bincount(line, weights, images.stop - images.start)[line]
        yield rows, columns, weights


def _mutual(indices: Indices) -> NDArray[np.bool_]:
    """(N, k) whether each image is among the k nearest of its own k nearest."""
    mutual = np.empty(indices.shape, bool)
    for images in _chunks(len(indices), indices.shape[1] ** 2):
        own = np.arange(images.start, images.stop)[:, None, None]
        mutual[images] = (indices[indices[images]] == own).any(axis=2)
    return mutual


def _expanded(
    images: slice, whole: Indices, mutual: NDArray[np.bool_], half: Indices, half_mutual: NDArray[np.bool_]
) -> tuple[Indices, Indices]:
    """Images and the members of their sets, by (image, member), each once."""
    candidates, reciprocal = whole[images], mutual[images]
    members = np.where(reciprocal, candidates, -1)
    others, theirs = half[candidates], half_mutual[candidates]
    shared = np.zeros_like(theirs)
    for member in members.T:
        shared |= others == member[:, None, None]
    joins = reciprocal & (3 * (shared & theirs).sum(axis=2) > 2 * theirs.sum(axis=2))
    joining = theirs & joins[..., None]
    lines = np.concatenate([np.nonzero(reciprocal)[0], np.nonzero(joining)[0]])
    found = np.concatenate([candidates[reciprocal], others[joining]])
    rows, columns = np.divmod(np.unique((lines + images.start) * len(whole) + found), len(whole))
    return rows, columns


def _between(
    rows: Indices, columns: Indices, images: slice, nearest: Nearest, distances: Distances
) -> NDArray[np.float32]:
    """Distances of pairs divided by the row's farthest; only those that the search did not keep are computed."""
    order = np.argsort(nearest.indices[images], axis=1)
    kept = np.take_along_axis(nearest.indices[images], order, axis=1).astype(np.int64)
    kept += np.arange(images.start, images.stop)[:, None] * distances.size
    wanted = rows * distances.size + columns
    place = np.minimum(np.searchsorted(kept.ravel(), wanted), kept.size - 1)
    found = np.take_along_axis(nearest.distances[images], order, axis=1).ravel()[place]
    absent = np.flatnonzero(kept.ravel()[place] != wanted)
    found[absent] = distances.pairs(rows[absent], columns[absent]) / nearest.farthest[rows[absent]]
    return found


def _averaged(vectors: csr_array, indices: Indices) -> csr_array:
    """Each row becomes the mean of the rows that it names."""
    count, k = indices.shape
    ones = np.ones(indices.size, np.float32)
    named = csr_array((ones, indices.ravel(), np.arange(0, indices.size + 1, k)), shape=(count, count))
    averaged = named @ vectors
    averaged.data /= k
    return averaged


def _chunks(images: int, comparisons: int) -> Iterator[slice]:
    """Ranges of images that take a bounded number of comparisons together."""
    length = max(1, COMPARISONS_AT_ONCE // comparisons)
    return (slice(start, min(start + length, images)) for start in range(0, images, length))
