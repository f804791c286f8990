"""The most similar gallery images of a query: what a person looks at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.labels import Labels, Numbers, as_labels, candidates
from dgreid.evaluation.similarity import ScoreBlock, score_rows
from dgreid.types import SameCamera

NO_MATCH = -1


class Matches(NamedTuple):
    """Ranked lists, best first; ties by the smaller gallery index. n is the longest a list may be.

    Attributes:
        indices: (Q, n) gallery indices, -1 behind the end of a shorter list.
        scores: (Q, n) similarities, -inf where there is no image.
        correct: (Q, n) whether it is a match: the query's identity, and not ignored.
        ignored: (Q, n) whether the camera rule takes the image out of the ranking; it has no rank.
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float64]
    correct: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def top_matches(
    block: ScoreBlock,
    query_labels: Labels,
    gallery_labels: Labels,
    k: int = 10,
    same_camera: SameCamera = "ignore",
    most_ignored: int = 0,
) -> Matches:
    """The k best gallery images of each query that count, as in the figures.

    Args:
        block: as :func:`~dgreid.evaluation.ranking.evaluate_blocks` takes it.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        k: how many images that count a list has, at least 1.
        same_camera: what becomes of images of the query's identity and camera.
        most_ignored: how many images that do not count may stand between them, where their similarity puts them.

    Raises:
        InputError: shapes do not fit or a similarity is NaN.
    """
    queries, targets = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    count = len(queries.identities)
    indices = np.full((count, k + most_ignored), NO_MATCH, dtype=np.int64)
    scores = np.full(indices.shape, -np.inf)
    ignored = np.zeros(indices.shape, dtype=bool)
    rows = score_rows(block, count, len(targets.identities))
    for position, (row, sets) in enumerate(zip(rows, candidates(queries, targets, same_camera), strict=True)):
        best = _list_of(row, sets.junk, k, most_ignored)
        indices[position, : best.size] = best
        scores[position, : best.size] = row[best]
        ignored[position, : best.size] = np.isin(best, sets.junk)
    same_identity = np.asarray(targets.identities)[indices] == np.asarray(queries.identities)[:, None]
    return Matches(indices, scores, same_identity & ~ignored & (indices != NO_MATCH), ignored)


def _list_of(row: Numbers, junk: NDArray[np.int64], k: int, most_ignored: int) -> NDArray[np.int64]:
    """The best k columns that are not junk and, up to the last of them, the best of the junk; best first."""
    counts = np.ones(row.size, dtype=bool)
    counts[junk] = False
    counted = _best(row, np.flatnonzero(counts), k)
    both = np.concatenate([counted, _best(row, np.sort(junk), most_ignored)])
    both = both[np.lexsort((both, -row[both]))]
    return both[: int(np.flatnonzero(counts[both])[-1]) + 1] if counted.size == k else both


def _best(row: Numbers, columns: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Up to k of the ascending columns by (score descending, column ascending)."""
    if columns.size > k > 0:
        threshold = np.partition(row[columns], -k)[-k]
        columns = columns[row[columns] >= threshold]
    return columns[np.argsort(-row[columns], kind="stable")][:k]
