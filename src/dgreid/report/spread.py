"""A method's figure over seeds: mean, standard deviation and their number."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dgreid.report.grouping import Row


class Spread(NamedTuple):
    """A figure over seeds.

    Attributes:
        mean: over the seeds, 0..1.
        deviation: sample standard deviation; None for a single seed.
        seeds: how many.
    """

    mean: float
    deviation: float | None
    seeds: int


def spread(values: Sequence[float]) -> Spread | None:
    """Of one figure for each seed; None of none."""
    if not values:
        return None
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


def plus_minus(mean: str, deviation: float | None) -> str:
    """A mean as it is shown, with its deviation (0..1) in points of a hundred where there is one."""
    return mean if deviation is None else f"{mean} ± {100 * deviation:.1f}"


def by_seed(row: Row, target: str, metric: str, rule: str | None = None) -> dict[int, float]:
    """A method's figure on a target for each seed.

    Args:
        row: the method.
        target: name of the domain.
        metric: a key of a result's rows, for instance ``mAP``.
        rule: selection rule; None for the runs' own.
    """
    figures = {run.seed: run.row(target, rule) for run in row.on(target)}
    return {seed: float(found[metric]) for seed, found in figures.items() if found is not None}


def mean_by_seed(row: Row, targets: Sequence[str], metric: str, rule: str | None = None) -> dict[int, float]:
    """The mean over targets for each seed that has them all."""
    figures = [by_seed(row, target, metric, rule) for target in targets]
    return {seed: statistics.fmean(of[seed] for of in figures) for seed in shared(figures)}


def shared(figures: Sequence[Mapping[int, float]]) -> list[int]:
    """Seeds that all have."""
    return sorted(set.intersection(*(set(of) for of in figures))) if figures else []
