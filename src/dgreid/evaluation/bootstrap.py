"""How sure a difference between two methods is, when both answered the same queries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.labels import Numbers

DRAWS_AT_ONCE = 2**20
FEWEST_UNITS = 2


class Interval(NamedTuple):
    """A difference of means and where it may lie.

    Attributes:
        difference: mean of a minus mean of b over the queries that both have.
        low: lower end of the percentile interval.
        high: upper end.
        level: share of the resampled differences between the two, for instance 0.95.
        resamples: how often was resampled.
        queries: how many queries both have.
        units: how many units were drawn from: queries, or groups of queries.
    """

    difference: float
    low: float
    high: float
    level: float
    resamples: int
    queries: int
    units: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


def paired_difference(
    a: Numbers,
    b: Numbers,
    groups: Numbers | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Paired bootstrap of mean(a) - mean(b), with a percentile interval (Efron and Tibshirani, 1993).

    A resample draws as many units as there are, with replacement, and takes the figures of both methods for the
    queries drawn. The point estimate needs no draws. Equal counts of units and equal seeds mean equal draws.

    Args:
        a: (Q,) a figure of each query by the one method, for instance its average precision; NaN where there is none.
        b: (Q,) the same figure of the same queries by the other method. A query with NaN in either is left out.
        groups: (Q,) labels of what is drawn as a whole, for instance the identities of the queries: queries of one
            person are not independent. Without it every query is a unit of its own.
        resamples: number of resamples, at least 1.
        seed: of the draws.
        level: share of the resampled differences that the interval holds, between 0 and 1.

    Raises:
        InputError: lists of different lengths, fewer than two units, or a value out of its range.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    labels = np.arange(a.size) if groups is None else np.asarray(groups)
    _check(a, b, labels, resamples, level)
    both = ~(np.isnan(a) | np.isnan(b))
    differences = (a - b)[both]
    _, unit_of = np.unique(labels[both], return_inverse=True)
    sums, counts = np.bincount(unit_of, weights=differences), np.bincount(unit_of)
    if counts.size < FEWEST_UNITS:
        what = "queries" if groups is None else "groups of queries"
        raise InputError(
            f"{what} with a figure by both methods: {counts.size}; an interval needs {FEWEST_UNITS} or more"
        )
    low, high = np.quantile(_resampled_means(sums, counts, resamples, seed), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(differences.mean()), float(low), float(high), level, resamples, differences.size, counts.size)


def _resampled_means(sums: Numbers, counts: Numbers, resamples: int, seed: int) -> NDArray[np.float64]:
    """The mean over all queries of the units drawn, of each resample: (resamples,)."""
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // sums.size)
    means = np.empty(resamples)
    for start in range(0, resamples, at_once):
        stop = min(start + at_once, resamples)
        drawn = generator.integers(sums.size, size=(stop - start, sums.size))
        means[start:stop] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


def _check(a: Numbers, b: Numbers, labels: Numbers, resamples: int, level: float) -> None:
    if a.ndim != 1 or a.shape != b.shape or a.shape != labels.shape:
        raise InputError(
            f"figures have shapes {a.shape} and {b.shape}, groups {labels.shape}; "
            "give each method's figure, and a group, for the same queries"
        )
    if resamples < 1:
        raise InputError(f"resamples={resamples}: at least 1")
    if not 0 < level < 1:
        raise InputError(f"level={level}: between 0 and 1, for instance 0.95")
