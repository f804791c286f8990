"""Exact retrieval figures from the ranks of the positives, counted in blocks of queries.

Three entries: from embeddings, from a matrix of similarities, and from a function that computes blocks of
similarities (for methods that learn how to match). No row is sorted as a whole and no queries x gallery matrix is made.

Rules of the field: gallery images with the query's identity and camera are taken out of its ranking (never where the
camera is unknown); a query without any match is not counted, but reported.

Ties: average precision treats equal scores as one threshold, as scikit-learn's ``average_precision_score`` does, so
it does not depend on the order of the gallery. Ranks (CMC, mINP) break ties by the smaller gallery index, so they
are the same on every machine that computes the same scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.labels import Array, Candidates, Labels, Numbers, as_labels, candidates, require_row_each
from dgreid.evaluation.similarity import ScoreBlock, embedding_blocks, matrix_blocks, score_rows

CMC_RANKS = 50


class RetrievalResult(NamedTuple):
    """How well queries find their identity in a gallery.

    Attributes:
        mean_average_precision: mean over valid queries, 0..1.
        cmc: (50,) share of valid queries whose first match stands at rank 1, ≤ 2, ..., ≤ 50.
        mean_inverse_negative_penalty: mean of (number of matches) / (rank of the last match) (Ye et al., TPAMI 2021).
        average_precision: (Q,) of each query, NaN where it is not valid.
        first_rank: (Q,) rank of each query's first match, from 1; 0 where it is not valid.
        valid: (Q,) whether the query has a match in the gallery.
    """

    mean_average_precision: float
    cmc: NDArray[np.float64]
    mean_inverse_negative_penalty: float
    average_precision: NDArray[np.float64]
    first_rank: NDArray[np.int64]
    valid: NDArray[np.bool_]

    def summary(self) -> dict[str, float | int]:
        """The usual figures by their usual names: fractions 0..1, and how many queries counted and did not."""
        valid = int(self.valid.sum())
        return {
            "mAP": self.mean_average_precision,
            "rank1": float(self.cmc[0]),
            "rank5": float(self.cmc[4]),
            "rank10": float(self.cmc[9]),
            "mINP": self.mean_inverse_negative_penalty,
            "queries": valid,
            "invalid_queries": self.valid.size - valid,
        }


class QueryResult(NamedTuple):
    """Average precision, rank of the first match (from 1) and inverse negative penalty of one valid query."""

    average_precision: float
    first_rank: int
    inverse_negative_penalty: float


def evaluate_embeddings(query: Array, gallery: Array, query_labels: Labels, gallery_labels: Labels) -> RetrievalResult:
    """Ranks the gallery by the inner product of embeddings, which are compared as they are given.

    Args:
        query: (Q, D) embeddings at unit length; float64 is compared in float64, all else in float32.
        gallery: (G, D) likewise.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.

    Raises:
        InputError: shapes do not fit, a value is not finite, or no query has a match.
    """
    require_row_each(query, query_labels, "query")
    require_row_each(gallery, gallery_labels, "gallery")
    return evaluate_blocks(embedding_blocks(query, gallery), query_labels, gallery_labels)


def evaluate_similarities(similarities: Array, query_labels: Labels, gallery_labels: Labels) -> RetrievalResult:
    """Ranks the gallery by a given matrix.

    Args:
        similarities: (Q, G), larger is more similar (negate distances).
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.

    Raises:
        InputError: shapes do not fit, a similarity is NaN, or no query has a match.
    """
    shape = tuple(similarities.shape)
    expected = (len(query_labels.identities), len(gallery_labels.identities))
    if shape != expected:
        raise InputError(f"similarities have shape {shape}, expected (queries, gallery) = {expected}")
    return evaluate_blocks(matrix_blocks(similarities), query_labels, gallery_labels)


def evaluate_blocks(block: ScoreBlock, query_labels: Labels, gallery_labels: Labels) -> RetrievalResult:
    """Ranks the gallery by similarities that are computed a block of queries at a time.

    Args:
        block: ``block(start, stop)`` returns an array or tensor (stop - start, G), larger is more similar; called for
            ascending, adjoining ranges, and may overwrite the block it returned before.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.

    Raises:
        InputError: shapes do not fit, a similarity is NaN, or no query has a match.
    """
    queries, gallery = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    rows = score_rows(block, len(queries.identities), len(gallery.identities))
    results = [
        rank_query(scores, sets) if sets.positives.size else None
        for scores, sets in zip(rows, candidates(queries, gallery), strict=True)
    ]
    return _mean_over_queries(results)


def rank_query(scores: Numbers, sets: Candidates) -> QueryResult:
    """The figures of one query, by counting how many gallery images score above each positive.

    Args:
        scores: (G,) similarity to each gallery image.
        sets: the query's positives, at least one, and its junk.
    """
    thresholds = scores[sets.positives]
    above, not_below = _count_from(scores, thresholds, sets.junk)
    positives_not_below = thresholds.size - np.searchsorted(np.sort(thresholds), thresholds, "left")
    ranks = above + 1
    for position in np.flatnonzero(not_below - above > 1):
        ranks[position] += _tied_before(scores, sets.positives[position], sets.junk)
    return QueryResult(
        average_precision=float(np.mean(positives_not_below / not_below)),
        first_rank=int(ranks.min()),
        inverse_negative_penalty=float(ranks.size / ranks.max()),
    )


def _count_from(
    scores: Numbers, thresholds: Numbers, junk: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many gallery images that are not junk score above, and not below, each threshold."""
    contenders = np.sort(scores[scores >= thresholds.min()])
    above = contenders.size - np.searchsorted(contenders, thresholds, "right")
    not_below = contenders.size - np.searchsorted(contenders, thresholds, "left")
    if junk.size:
        junk_scores = scores[junk][:, None]
        above -= np.count_nonzero(junk_scores > thresholds, axis=0)
        not_below -= np.count_nonzero(junk_scores >= thresholds, axis=0)
    return above, not_below


def _tied_before(scores: Numbers, column: int, junk: NDArray[np.int64]) -> int:
    """How many gallery images before ``column``, junk aside, have its score."""
    tied = np.count_nonzero(scores[:column] == scores[column])
    return int(tied - np.count_nonzero(scores[junk[junk < column]] == scores[column]))


def _mean_over_queries(results: list[QueryResult | None]) -> RetrievalResult:
    counted = [result for result in results if result is not None]
    if not counted:
        raise InputError(
            f"none of the {len(results)} queries has a match in the gallery (same identity, another camera); "
            "check identities and cameras, or mark unknown cameras with -1"
        )
    first_ranks = np.array([0 if result is None else result.first_rank for result in results], dtype=np.int64)
    found = first_ranks[first_ranks > 0]
    return RetrievalResult(
        mean_average_precision=float(np.mean([result.average_precision for result in counted])),
        cmc=np.array([np.mean(found <= rank) for rank in range(1, CMC_RANKS + 1)]),
        mean_inverse_negative_penalty=float(np.mean([result.inverse_negative_penalty for result in counted])),
        average_precision=np.array([np.nan if result is None else result.average_precision for result in results]),
        first_rank=first_ranks,
        valid=first_ranks > 0,
    )
