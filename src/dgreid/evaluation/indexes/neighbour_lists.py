"""Lists of nearest neighbours, and the figures that they determine."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.labels import Array, Labels, Numbers, as_labels, candidates
from dgreid.evaluation.similarity import ScoreBlock
from dgreid.types import UNKNOWN_CAMERA, SameCamera

RANKING_BYTES = 64 * 2**20


class Neighbours(NamedTuple):
    """The k most similar gallery images of each query, best first.

    The order of equal similarities is faiss's, and differs between indexes, devices and versions.

    Attributes:
        scores: (Q, k) float32 similarities; those of indexes that compress are approximate. -inf where an approximate
            index found fewer than k.
        indices: (Q, k) int64 gallery indices; -1 there.
    """

    scores: NDArray[np.float32]
    indices: NDArray[np.int64]


def whole_rankings(query: Array, search: Callable[[Array, int], Neighbours], gallery_size: int) -> ScoreBlock:
    """Blocks of similarities in the order of the gallery, from searches for all of it.

    Args:
        query: (Q, D).
        search: finds the k nearest of queries; exact.
        gallery_size: how many images it searches.
    """
    size = max(32, RANKING_BYTES // (40 * gallery_size))  # a score, its index, and twice both in a search

    def block(start: int, stop: int) -> Numbers:
        scores = np.empty((stop - start, gallery_size), dtype=np.float32)
        for first in range(start, stop, size):
            last = min(first + size, stop)
            found = search(query[first:last], gallery_size)
            np.put_along_axis(scores[first - start : last - start], found.indices, found.scores, axis=1)
        return scores

    return block


def cmc_from_neighbours(
    neighbours: Neighbours,
    query_labels: Labels,
    gallery_labels: Labels,
    same_camera: SameCamera = "ignore",
    ranks: int | None = None,
) -> NDArray[np.float64]:
    """The share of valid queries whose first match stands at rank 1, ≤ 2, ..., as lists of neighbours determine it.

    Gallery images of a query's identity and camera are taken out of its list, which leaves k - j images where it had j
    of them. So lists of k determine the CMC up to rank k - (the most such images that a valid query has), and no
    further. With exact neighbours and no ties it is the CMC of full rankings, with approximate ones a lower value.

    Average precision and mINP need the rank of every match, also of those behind the list, so no list of the best k
    determines them: at Market-1501's size mAP from the best 100 was 0.7 points off, from the best 21 eight points.

    Args:
        neighbours: of each query, among all gallery images.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        same_camera: ``ignore`` takes such images out, ``keep`` counts them as matches.
        ranks: length of the result; as far as the lists determine it by default.

    Returns:
        (ranks,) shares 0..1.

    Raises:
        InputError: the lists do not fit the labels, are too short for ``ranks``, or no query has a match.
    """
    queries, gallery = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    indices = np.asarray(neighbours.indices)
    _require_lists(indices, len(queries.identities), len(gallery.identities))
    sets = list(candidates(queries, gallery, same_camera))
    valid = np.array([each.positives.size > 0 for each in sets], dtype=bool)
    if not valid.any():
        raise InputError(f"none of the {len(sets)} queries has a match in the gallery; check identities and cameras")
    k, junk = indices.shape[1], max(each.junk.size for each in sets if each.positives.size)
    ranks = _determined(k, junk, ranks)
    first = _first_ranks(indices, queries, gallery, same_camera)[valid]
    return np.array([np.mean(first <= rank) for rank in range(1, ranks + 1)])


def _require_lists(indices: NDArray[np.int64], queries: int, gallery_size: int) -> None:
    if indices.ndim != 2 or len(indices) != queries:
        raise InputError(f"neighbours have shape {indices.shape}; give a list for each of the {queries} queries")
    if indices.size and not -1 <= indices.min() <= indices.max() < gallery_size:
        raise InputError(
            f"neighbours go from {indices.min()} to {indices.max()}, but the gallery has {gallery_size} images; "
            "give the labels of the gallery that was searched"
        )


def _determined(k: int, junk: int, ranks: int | None) -> int:
    most = k - junk
    wanted = max(1, most) if ranks is None else ranks
    if not 1 <= wanted <= most:
        raise InputError(
            f"ranks={wanted}: a query has {junk} gallery images of its own identity and camera, which leave {most} of "
            f"its {k} neighbours; search for k={junk + max(1, wanted)} or more, or ask for ranks from 1 to {most}"
        )
    return wanted


def _first_ranks(
    indices: NDArray[np.int64], queries: Labels, gallery: Labels, same_camera: SameCamera
) -> NDArray[np.float64]:
    """Rank of each query's first match in its list without junk; infinite where the list has none."""
    match = (np.asarray(gallery.identities)[indices] == np.asarray(queries.identities)[:, None]) & (indices >= 0)
    if same_camera == "ignore":
        cameras = np.asarray(queries.cameras)[:, None]
        junk = match & (np.asarray(gallery.cameras)[indices] == cameras) & (cameras != UNKNOWN_CAMERA)
    else:
        junk = np.zeros_like(match)
    match &= ~junk
    ranks = np.cumsum(~junk, axis=1)
    return np.where(match, ranks, np.inf).min(axis=1)
