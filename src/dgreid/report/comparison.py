"""How much better one method is than another on the same queries, and how sure that is.

Two things make a measured difference differ from the true one: the queries that happened to be asked, and the seeds
that happened to be trained. Runs are paired by target and seed. A query's difference is the mean over the shared seeds,
and the queries of a target are drawn again (paired bootstrap); the seeds' share is the t interval of the differences of
whole runs, as resampling three seeds would make far too little of it. The distances of both intervals' ends from the
difference are added in quadrature, which is right for independent errors (Zou and Donner, Statistics in Medicine
2008).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.stats import t as student

from dgreid.evaluation.bootstrap import FEWEST_UNITS, paired_difference
from dgreid.evaluation.embedding_files.comparison import Unit
from dgreid.report.grouping import Row
from dgreid.report.reading import Queries, Run, read_queries
from dgreid.report.spread import by_seed, mean_by_seed, shared

LEVEL = 0.95
Covers: TypeAlias = Literal["queries and seeds", "queries", "seeds", "nothing"]


class Resampling(NamedTuple):
    """How queries are drawn again.

    Attributes:
        resamples: how often.
        unit: what is drawn: single queries, or all of an identity at once.
        seed: of the draws.
    """

    resamples: int = 2_000
    unit: Unit = "query"
    seed: int = 0


class Difference(NamedTuple):
    """One method minus another, 0..1.

    Attributes:
        value: mean over the shared seeds.
        low: lower end of the 95 % interval; None where nothing is known of its width.
        high: upper end.
        seeds: how many are shared.
        covers: what the interval speaks of.
    """

    value: float
    low: float | None
    high: float | None
    seeds: int
    covers: Covers

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def difference(a: Row, b: Row, target: str, metric: str, resampling: Resampling) -> Difference | None:
    """One method minus another on one target; None if they share no seed.

    Args:
        a: a method.
        b: another of the same table.
        target: name of the domain.
        metric: ``mAP`` or ``rank1``.
        resampling: how queries are drawn again.
    """
    figures = by_seed(a, target, metric), by_seed(b, target, metric)
    seeds = shared(figures)
    if not seeds:
        return None
    of_seeds = [figures[0][seed] - figures[1][seed] for seed in seeds]
    return _joined(of_seeds, [_of_queries(_pairs(a, b, target, seeds), target, metric, resampling)])


def run_difference(a: Run, b: Run, target: str, metric: str, resampling: Resampling) -> Difference | None:
    """One run minus another on one target, whatever their seeds; None if one has no figure."""
    figures = a.row(target), b.row(target)
    if figures[0] is None or figures[1] is None:
        return None
    value = float(figures[0][metric]) - float(figures[1][metric])
    return _joined([value], [_of_queries([(a, b)], target, metric, resampling)])


def mean_difference(a: Row, b: Row, targets: Sequence[str], metric: str, resampling: Resampling) -> Difference | None:
    """The same on the mean over targets, which weigh the same; None if no seed has them all in both methods."""
    figures = mean_by_seed(a, targets, metric), mean_by_seed(b, targets, metric)
    seeds = shared(figures)
    if not seeds:
        return None
    of_seeds = [figures[0][seed] - figures[1][seed] for seed in seeds]
    return _joined(
        of_seeds, [_of_queries(_pairs(a, b, target, seeds), target, metric, resampling) for target in targets]
    )


def same_queries(a: Run, b: Run, target: str) -> tuple[Queries, Queries] | None:
    """How both fared with the same queries in the same gallery; None where they are not known to be the same."""
    lists = read_queries(a.folder, target), read_queries(b.folder, target)
    if lists[0] is None or lists[1] is None or _lists_of(a, target) != _lists_of(b, target):
        return None
    same = lists[0].names == lists[1].names and np.array_equal(lists[0].identities, lists[1].identities)
    return (lists[0], lists[1]) if same else None


Ends = tuple[float, float]  # distances of an interval's lower and upper end from the difference


def _joined(of_seeds: Sequence[float], of_targets: Sequence[Ends | None]) -> Difference:
    value, count = statistics.fmean(of_seeds), len(of_seeds)
    known = [ends for ends in of_targets if ends is not None]
    # Targets are independent and weigh the same.
    queries = [math.hypot(*ends) / len(known) for ends in zip(*known, strict=True)]
    asked, trained = bool(known) and len(known) == len(of_targets), count > 1
    seeds = 0.0
    if trained:
        error = statistics.stdev(of_seeds) / math.sqrt(count)
        seeds = float(student.ppf((1 + LEVEL) / 2, count - 1)) * error
    if not asked and not trained:
        return Difference(value, None, None, count, "nothing")
    below, above = (math.hypot(side, seeds) for side in (queries if asked else (0.0, 0.0)))
    covers: Covers = "queries and seeds" if asked and trained else "queries" if asked else "seeds"
    return Difference(value, value - below, value + above, count, covers)


def _pairs(a: Row, b: Row, target: str, seeds: Sequence[int]) -> list[tuple[Run, Run]]:
    runs = [{run.seed: run for run in row.on(target)} for row in (a, b)]
    return [(runs[0][seed], runs[1][seed]) for seed in seeds]


def _of_queries(runs: Sequence[tuple[Run, Run]], target: str, metric: str, resampling: Resampling) -> Ends | None:
    """The bootstrap's part; None where not all runs answered the same queries."""
    pairs = [same_queries(ours, theirs, target) for ours, theirs in runs]
    known = [pair for pair in pairs if pair is not None]
    if len(known) < len(pairs) or any(pair[0].names != known[0][0].names for pair in known):
        return None
    ours, theirs = (np.mean([pair[side].figure(metric) for pair in known], axis=0) for side in (0, 1))
    identities = known[0][0].identities
    valid = ~(np.isnan(ours) | np.isnan(theirs))
    groups = identities if resampling.unit == "identity" else np.arange(len(identities))
    if len(np.unique(groups[valid])) < FEWEST_UNITS:
        return None
    found = paired_difference(ours, theirs, groups, resampling.resamples, resampling.seed, LEVEL)
    return found.difference - found.low, found.high - found.difference


def _lists_of(run: Run, target: str) -> Mapping[str, Any]:
    """Hashes of a target's lists of images."""
    found: Mapping[str, Any] = next((one for one in run.record.get("targets", ()) if one.get("name") == target), {})
    return {subset: found.get(subset, {}).get("list_hash") for subset in ("query", "gallery")}
