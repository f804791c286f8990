"""Methods against a baseline: how much better, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import check_one_of
from dgreid.evaluation.bootstrap import Interval, paired_difference
from dgreid.evaluation.labels import Numbers
from dgreid.evaluation.ranking import RetrievalResult

Unit: TypeAlias = Literal["query", "identity"]
UNITS = ("query", "identity")


class Comparing(NamedTuple):
    """How methods are compared.

    Attributes:
        baseline: name of the method that the others are compared with; "" for the first.
        unit: what a resample draws: single queries, or all queries of an identity at once.
        resamples: number of resamples.
        seed: of the draws; all methods and both figures see the same.
    """

    baseline: str = ""
    unit: Unit = "query"
    resamples: int = 10_000
    seed: int = 0


class Difference(NamedTuple):
    """One method minus the baseline, over the queries valid in both.

    Attributes:
        method: name of the method.
        baseline: name of the baseline.
        unit: what was resampled.
        mean_average_precision: of their average precisions.
        rank1: of their shares of queries whose first match stands at rank 1.
    """

    method: str
    baseline: str
    unit: Unit
    mean_average_precision: Interval
    rank1: Interval


def differences(
    results: Mapping[str, RetrievalResult], identities: NDArray[np.int64], comparing: Comparing
) -> list[Difference]:
    """Every other method against the baseline, with 95 % intervals by the paired bootstrap.

    Args:
        results: figures by name of method, all of the same queries in the same order.
        identities: (Q,) of the queries.
        comparing: how.

    Raises:
        InputError: an unknown name or unit, or too few queries or identities for an interval.
    """
    baseline = comparing.baseline or next(iter(results))
    check_one_of("baseline", baseline, results)
    check_one_of("unit", comparing.unit, UNITS)
    groups = identities if comparing.unit == "identity" else None

    def interval(ours: Numbers, theirs: Numbers) -> Interval:
        return paired_difference(ours, theirs, groups, comparing.resamples, comparing.seed)

    against = results[baseline]
    return [
        Difference(
            method,
            baseline,
            comparing.unit,
            interval(result.average_precision, against.average_precision),
            interval(first_is_right(result), first_is_right(against)),
        )
        for method, result in results.items()
        if method != baseline
    ]


def first_is_right(result: RetrievalResult) -> NDArray[np.float64]:
    """(Q,) 1 where a match stands at rank 1, 0 where not, NaN where the query is not valid."""
    return np.where(result.valid, (result.first_rank == 1).astype(np.float64), np.nan)
