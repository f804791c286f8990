"""Average precision and ranks of single queries, from counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.counting import BlockCounter
from dgreid.evaluation.labels import CandidatePairs, Numbers


class QueryFigures(NamedTuple):
    """Figures of each query, (B,); of a query without a match NaN, 0 and NaN.

    Attributes:
        average_precision: 0..1.
        first_rank: rank of its first match, from 1.
        inverse_negative_penalty: number of its matches / rank of the last one.
    """

    average_precision: NDArray[np.float64]
    first_rank: NDArray[np.int64]
    inverse_negative_penalty: NDArray[np.float64]


class _Matches(NamedTuple):
    """All matches of a block, by query, best first; (n,) each but the last.

    Attributes:
        rank: from 1, ties by the smaller gallery index, junk left out.
        precision: share of matches among the gallery images that do not score below it, junk left out.
        bounds: (B + 1,) matches bounds[i]..bounds[i + 1] - 1 are those of query i.
    """

    rank: NDArray[np.int64]
    precision: NDArray[np.float64]
    bounds: NDArray[np.int64]


def query_figures(counter: BlockCounter, pairs: CandidatePairs, count: int) -> QueryFigures:
    """The figures of a block of queries.

    Args:
        counter: knows the block's similarities.
        pairs: all gallery images of the queries' identities.
        count: how many queries the block has.

    Raises:
        InputError: a similarity is NaN.
    """
    rank, precision, bounds = _matches(counter, pairs, count)
    sizes = np.diff(bounds)
    valid = sizes > 0
    first, last = bounds[:-1][valid], bounds[1:][valid] - 1
    average_precision, penalty = np.full((2, count), np.nan)
    first_rank = np.zeros(count, dtype=np.int64)
    if valid.any():
        average_precision[valid] = np.add.reduceat(precision, first) / sizes[valid]
        first_rank[valid] = rank[first]
        penalty[valid] = sizes[valid] / rank[last]
    return QueryFigures(average_precision, first_rank, penalty)


def _matches(counter: BlockCounter, pairs: CandidatePairs, count: int) -> _Matches:
    """Counts the gallery images around each match, junk included, and takes the junk off.

    What is taken off needs only the scores of the query's own identity: they are sorted, and junk is counted in the
    run of equals of a match, and before that run.
    """
    scores = counter.at(pairs.queries, pairs.columns)
    order = np.lexsort((-scores, pairs.queries))  # stable: equal scores stay in the gallery's order
    scores, queries, columns, junk = scores[order], pairs.queries[order], pairs.columns[order], pairs.junk[order]
    match = np.flatnonzero(~junk)
    run_start, run_stop = (ends[match] for ends in _runs(queries, scores))
    scores, own_queries, columns = scores[match], queries[match], columns[match]
    bounds = np.searchsorted(own_queries, np.arange(count + 1))
    above, not_below = counter.count(scores, bounds)

    start = np.searchsorted(queries, own_queries)
    junk_until = np.concatenate(([0], np.cumsum(junk)))
    junk_not_below = junk_until[run_stop] - junk_until[start]
    above -= junk_until[run_start] - junk_until[start]
    not_below -= junk_not_below
    tied = np.flatnonzero(not_below - above > 1)
    rank = above + 1
    rank[tied] += counter.tied_before(own_queries[tied], columns[tied])
    rank[tied] -= (junk_until[match] - junk_until[run_start])[tied]
    return _Matches(rank, (run_stop - start - junk_not_below) / not_below, bounds)


def _runs(queries: NDArray[np.int64], scores: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the run of equal scores of one query, to which each element belongs, starts and stops."""
    changes = np.flatnonzero((queries[1:] != queries[:-1]) | (scores[1:] != scores[:-1])) + 1
    edges = np.concatenate(([0], changes, [len(scores)]))
    lengths = np.diff(edges)
    return np.repeat(edges[:-1], lengths), np.repeat(edges[1:], lengths)
