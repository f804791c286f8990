"""How many of the true nearest neighbours an approximate search finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.indexes.vector_rows import float32_rows
from dgreid.evaluation.labels import Array, as_numbers

NEIGHBOURS = 10


class MeasuredRecall(NamedTuple):
    """Recall of an index against exact search.

    Attributes:
        at_1: share of queries whose nearest neighbour is found first, 0..1.
        at_10: share of their ten nearest neighbours that are among the first ten found, 0..1.
        queries: how many of the indexed vectors were the queries; 0 where nothing is approximate.
    """

    at_1: float
    at_10: float
    queries: int


def recall(found: Array, exact: Array, k: int) -> float:
    """Share of the k true nearest neighbours that are among the first k found, over all queries.

    Args:
        found: (Q, ≥ k) indices, best first; -1 where nothing was found.
        exact: (Q, ≥ k) indices of exact search, best first. Of neighbours at one distance, those listed count.
        k: length of the lists that are compared.

    Raises:
        InputError: the lists are not of equally many queries, or shorter than k.
    """
    lists, true = as_numbers(found), as_numbers(exact)
    if lists.ndim != 2 or true.ndim != 2 or len(lists) != len(true) or not len(lists):
        raise InputError(f"neighbours have shapes {lists.shape} and {true.shape}; give lists of the same queries")
    if not 1 <= k <= min(lists.shape[1], true.shape[1]):
        raise InputError(
            f"k={k}: the lists have {lists.shape[1]} and {true.shape[1]} neighbours; choose k from 1 to the shorter"
        )
    hits = sum(np.intersect1d(one, other).size for one, other in zip(lists[:, :k], true[:, :k], strict=True))
    return hits / (k * len(true))


@dataclass
class RecallProbe:
    """Some of the indexed vectors, as queries, and their exact nearest neighbours other than themselves.

    It follows the index as that grows, without the vectors that were indexed before.

    Attributes:
        vectors: (S, D) float32.
        own: (S,) their indices.
        scores: (S, 10) similarities of the nearest others seen so far, best first.
        indices: (S, 10) which they are.
    """

    vectors: NDArray[np.float32]
    own: NDArray[np.int64]
    scores: NDArray[np.float32]
    indices: NDArray[np.int64]

    @classmethod
    def draw(cls, vectors: Array, count: int) -> RecallProbe:
        """At most ``count`` of the vectors that come to be indexed first, always the same, with no neighbours yet."""
        size = len(vectors)
        own = np.sort(np.random.default_rng(0).choice(size, min(count, size), replace=False))
        drawn = np.concatenate([float32_rows(vectors, index, index + 1) for index in own.tolist()])
        shape = (len(own), NEIGHBOURS)
        return cls(drawn, own, np.full(shape, -np.inf, dtype=np.float32), np.full(shape, -1, dtype=np.int64))

    def offer(self, scores: NDArray[np.float32], indices: NDArray[np.int64]) -> None:
        """Takes what is nearer than the neighbours so far.

        Args:
            scores: (S, n) similarities of the 11 nearest of some vectors not offered before, or of all of them.
            indices: (S, n) which they are; a vector's own index is passed over.
        """
        others = np.where(indices == self.own[:, None], np.float32(-np.inf), scores)
        scores, indices = np.hstack([self.scores, others]), np.hstack([self.indices, indices])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :NEIGHBOURS]
        self.scores = np.take_along_axis(scores, best, axis=1)
        self.indices = np.take_along_axis(indices, best, axis=1)

    def measure(self, found: NDArray[np.int64]) -> MeasuredRecall:
        """Recall of an index that holds what was offered.

        Args:
            found: (S, 11) what it finds for the probe's vectors, best first; each may find itself.
        """
        itself = found == self.own[:, None]
        others = np.take_along_axis(found, np.argsort(itself, axis=1, kind="stable"), axis=1)
        at_1, at_10 = (recall(others, self.indices, k) for k in (1, NEIGHBOURS))
        return MeasuredRecall(at_1, at_10, len(self.own))
