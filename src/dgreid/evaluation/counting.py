"""How many gallery images score above a query's matches: counted on the CPU, in a block of similarities."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.labels import Numbers
from dgreid.evaluation.similarity import nan_error

SORTED_PER_MATCH = 80  # comparing with a threshold costs about as much as sorting so many scores


class Counts(NamedTuple):
    """Of each threshold: how many of its query's scores are above it, and how many are not below it; (n,) each."""

    above: NDArray[np.int64]
    not_below: NDArray[np.int64]


class BlockCounter(Protocol):
    """What the figures need to know of a (B, G) block of similarities, wherever it lies. Results are on the CPU."""

    def at(self, queries: NDArray[np.int64], columns: NDArray[np.int64]) -> Numbers:
        """(n,) the scores of pairs."""
        ...

    def count(self, thresholds: Numbers, bounds: NDArray[np.int64]) -> Counts:
        """Counts for thresholds[bounds[i]:bounds[i + 1]], descending, in the scores of query i of the block.

        Raises:
            InputError: a score is NaN.
        """
        ...

    def tied_before(self, queries: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) how many gallery images of smaller index have the very score of a pair."""
        ...


class HostCounter:
    """Counts by numpy. A query's scores are narrowed down from its worst match on, until few enough are left to sort.

    Args:
        scores: (B, G) similarities.
        first: the number of the block's first query, for messages.
    """

    def __init__(self, scores: Numbers, first: int) -> None:
        self.scores = scores
        self.first = first

    def at(self, queries: NDArray[np.int64], columns: NDArray[np.int64]) -> Numbers:
        """See :class:`BlockCounter`."""
        return self.scores[queries, columns]

    def count(self, thresholds: Numbers, bounds: NDArray[np.int64]) -> Counts:
        """See :class:`BlockCounter`."""
        counts = Counts(*np.empty((2, len(thresholds)), dtype=np.int64))
        for row, (start, stop) in enumerate(pairwise(bounds.tolist())):
            own = slice(start, stop)
            highest = _count_in_row(self.scores[row], thresholds[own], counts.above[own], counts.not_below[own])
            if np.isnan(highest):
                raise nan_error(self.first + row)
        return counts

    def tied_before(self, queries: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """See :class:`BlockCounter`."""
        rows = self.scores
        pairs = zip(queries.tolist(), columns.tolist(), strict=True)
        counts = [np.count_nonzero(rows[query, :column] == rows[query, column]) for query, column in pairs]
        return np.array(counts, dtype=np.int64)


def _count_in_row(
    scores: Numbers, thresholds: Numbers, above: NDArray[np.int64], not_below: NDArray[np.int64]
) -> float:
    """Fills in the counts; returns NaN if there is one among the scores, else the highest score."""
    left = len(thresholds)
    while left and len(scores) > SORTED_PER_MATCH * left:
        left -= 1
        kept = ~(scores < thresholds[left])  # NaN is not less than anything
        not_below[left] = np.count_nonzero(kept)
        above[left] = np.count_nonzero(scores > thresholds[left])
        if 2 * not_below[left] < len(scores):
            scores = scores.take(np.flatnonzero(kept))  # several times faster than a mask as index
    if not left:
        return float(scores.max(initial=-np.inf))
    scores = np.sort(scores)  # NaN comes last
    above[:left] = len(scores) - scores.searchsorted(thresholds[:left], "right")
    not_below[:left] = len(scores) - scores.searchsorted(thresholds[:left], "left")
    return float(scores[-1])
