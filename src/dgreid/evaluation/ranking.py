"""Exact retrieval figures from the ranks of the positives, counted in blocks of queries.

Three entries: from embeddings, from a matrix of similarities, and from a function that computes blocks of
similarities (for methods that learn how to match). No queries x gallery matrix is made. What is on a GPU is counted
there, all else by numpy.

Rules of the field: gallery images with the query's identity and camera are taken out of its ranking (never where the
camera is unknown, and not with ``same_camera="keep"``); a query without any match is not counted, but reported.

Ties: average precision treats equal scores as one threshold, as scikit-learn's ``average_precision_score`` does, so
it does not depend on the order of the gallery. Ranks (CMC, mINP) break ties by the smaller gallery index, so they
are the same on every machine that computes the same scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT, block_ranges, queries_per_block
from dgreid.evaluation.counting import HostCounter
from dgreid.evaluation.device_counting import DeviceCounter
from dgreid.evaluation.labels import Array, CandidateLists, Labels, as_array, as_labels, require_row_each
from dgreid.evaluation.query_figures import QueryFigures, query_figures
from dgreid.evaluation.similarity import ScoreBlock, checked_block, embedding_blocks, matrix_blocks
from dgreid.types import SameCamera

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
        inverse_negative_penalty: (Q,) of each query, NaN where it is not valid.
    """

    mean_average_precision: float
    cmc: NDArray[np.float64]
    mean_inverse_negative_penalty: float
    average_precision: NDArray[np.float64]
    first_rank: NDArray[np.int64]
    valid: NDArray[np.bool_]
    inverse_negative_penalty: NDArray[np.float64]

    def rank_accuracy(self, rank: int) -> float:
        """Share of valid queries whose first match stands at ``rank``, from 1, or before it: CMC at any rank.

        Raises:
            InputError: there is no such rank.
        """
        if rank < 1:
            raise InputError(f"rank={rank}: ranks count from 1")
        return float(np.mean(self.first_rank[self.valid] <= rank))

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


def evaluate_embeddings(
    query: Array,
    gallery: Array,
    query_labels: Labels,
    gallery_labels: Labels,
    same_camera: SameCamera = "ignore",
    memory_limit: float = MEMORY_LIMIT,
) -> RetrievalResult:
    """Ranks the gallery by the inner product of embeddings, which are compared as they are given.

    Args:
        query: (Q, D) embeddings at unit length, of any floating point type; the products are float64 if either side
            is, else float32.
        gallery: (G, D) likewise; products and counts are made where it lies (CPU or GPU), and rounded as there.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        same_camera: ``ignore`` takes gallery images of the query's identity and camera out of its ranking, ``keep``
            counts them as matches.
        memory_limit: MiB that the blocks of similarities and the work on them may take; what the matrix product
            itself needs, and 16 MiB where half precision is widened, come on top.

    Raises:
        InputError: shapes do not fit, a value is not finite, no query has a match, or the memory is too small.
    """
    labels = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    require_row_each(query, labels[0], "query")
    require_row_each(gallery, labels[1], "gallery")
    return evaluate_blocks(embedding_blocks(query, gallery), *labels, same_camera, memory_limit)


def evaluate_similarities(
    similarities: Array,
    query_labels: Labels,
    gallery_labels: Labels,
    same_camera: SameCamera = "ignore",
    memory_limit: float = MEMORY_LIMIT,
) -> RetrievalResult:
    """Ranks the gallery by a given matrix.

    Args:
        similarities: (Q, G), larger is more similar (negate distances).
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        same_camera: as in :func:`evaluate_embeddings`.
        memory_limit: MiB for the work on a block of the matrix.

    Raises:
        InputError: shapes do not fit, a similarity is NaN, no query has a match, or the memory is too small.
    """
    labels = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    matrix = as_array(similarities)
    shape, expected = tuple(matrix.shape), tuple(len(each.identities) for each in labels)
    if shape != expected:
        raise InputError(f"similarities have shape {shape}, expected (queries, gallery) = {expected}")
    return evaluate_blocks(matrix_blocks(matrix), *labels, same_camera, memory_limit)


def evaluate_blocks(
    block: ScoreBlock,
    query_labels: Labels,
    gallery_labels: Labels,
    same_camera: SameCamera = "ignore",
    memory_limit: float = MEMORY_LIMIT,
) -> RetrievalResult:
    """Ranks the gallery by similarities that are computed a block of queries at a time.

    Args:
        block: ``block(start, stop)`` returns an array or tensor (stop - start, G), larger is more similar; called for
            ascending, adjoining ranges, and may overwrite the block it returned before.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        same_camera: as in :func:`evaluate_embeddings`.
        memory_limit: MiB for one block, float64 at most, and the work on it.

    Raises:
        InputError: shapes do not fit, a similarity is NaN, no query has a match, or the memory is too small.
    """
    queries, gallery = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    count, size = len(queries.identities), len(gallery.identities)
    lists = CandidateLists(queries, gallery, same_camera)
    if not count:
        raise InputError("there are no queries; give at least one query image")

    def figures(start: int, stop: int) -> QueryFigures:
        scores = checked_block(block, start, stop, size)
        counter = HostCounter(scores, start) if isinstance(scores, np.ndarray) else DeviceCounter(scores, start)
        return query_figures(counter, lists.pairs(start, stop), stop - start)

    ranges = block_ranges(count, queries_per_block(size, memory_limit, lists.longest))
    parts = [figures(start, stop) for start, stop in ranges]
    return _summarise(QueryFigures(*map(np.concatenate, zip(*parts, strict=True))), same_camera)


def _summarise(figures: QueryFigures, same_camera: SameCamera) -> RetrievalResult:
    valid = figures.first_rank > 0
    if not valid.any():
        rule = "same identity, another camera" if same_camera == "ignore" else "same identity"
        raise InputError(
            f"none of the {len(valid)} queries has a match in the gallery ({rule}); "
            "check identities and cameras, or mark unknown cameras with -1"
        )
    found = figures.first_rank[valid]
    return RetrievalResult(
        mean_average_precision=float(np.mean(figures.average_precision[valid])),
        cmc=np.array([np.mean(found <= rank) for rank in range(1, CMC_RANKS + 1)]),
        mean_inverse_negative_penalty=float(np.mean(figures.inverse_negative_penalty[valid])),
        average_precision=figures.average_precision,
        first_rank=figures.first_rank,
        valid=valid,
        inverse_negative_penalty=figures.inverse_negative_penalty,
    )
