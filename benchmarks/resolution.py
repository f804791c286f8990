"""How large a difference between methods a few seeds resolve: Student's t on runs of a method x target x seed layout.

All of it speaks of further seeds on the very same images and targets. What other domains would have shown is another
question, which no number of seeds answers.

    python benchmarks/resolution.py runs/benchmark_synthetic    what the seeds of these runs resolve
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from scipy.stats import t as students_t

Scores = Mapping[tuple[str, str, int], float]  # by method, target and seed
LEVEL = 0.05  # of a two-sided test


class Spread(NamedTuple):
    """A standard deviation of single runs.

    Attributes:
        deviation: in the unit of the scores.
        degrees: of freedom it was estimated with.
    """

    deviation: float
    degrees: int


class Difference(NamedTuple):
    """Of one method's mean over targets to another's.

    Attributes:
        value: positive if the method is better than what it is compared with.
        error: standard error of ``value``; None from a single seed.
    """

    value: float
    error: float | None


def of_cell(scores: Scores, method: str, target: str) -> list[float]:
    """A method's scores on one target, by seed."""
    return [scores[key] for key in sorted(scores) if key[:2] == (method, target)]


def within_cells(scores: Scores) -> Spread | None:
    """Pooled standard deviation of seeds around the mean of their method and target; None without a repetition."""
    squares, degrees = 0.0, 0
    for method, target in {key[:2] for key in scores}:
        values = of_cell(scores, method, target)
        mean = statistics.fmean(values)
        squares += sum((value - mean) ** 2 for value in values)
        degrees += len(values) - 1
    return Spread(math.sqrt(squares / degrees), degrees) if degrees else None


def within_pairs(scores: Scores) -> Spread | None:
    """What of :func:`within_cells` is left when all methods are compared on equal target and seed.

    The residual of a two-way layout, methods by seeds, in each target: root 2 times it is the standard deviation of the
    difference of two methods under one seed. Of a target only seeds count that every method has.

    Returns:
        None if there are not two methods with two seeds in common.
    """
    methods = sorted({method for method, _, _ in scores})
    squares, degrees = 0.0, 0
    for target in {target for _, target, _ in scores}:
        seeds = sorted({key[2] for key in scores if all((method, target, key[2]) in scores for method in methods)})
        if len(seeds) < 2 or len(methods) < 2:
            continue
        table = [[scores[method, target, seed] for seed in seeds] for method in methods]
        rows = [statistics.fmean(row) for row in table]
        columns = [statistics.fmean(column) for column in zip(*table, strict=True)]
        centre = statistics.fmean(rows)
        for row, row_mean in zip(table, rows, strict=True):
            pairs = zip(row, columns, strict=True)
            squares += sum((value - row_mean - column_mean + centre) ** 2 for value, column_mean in pairs)
        degrees += (len(methods) - 1) * (len(seeds) - 1)
    return Spread(math.sqrt(squares / degrees), degrees) if degrees else None


def smallest_difference(spread: Spread, runs: int) -> float:
    """The smallest difference of two methods' means that is significant: t(0.975) * s * sqrt(2 / runs).

    A true difference of this size is found in half of all comparisons, one 1.4 times as large in four of five.

    Args:
        spread: of single runs.
        runs: that each mean is made of: the seeds on one target, seeds times targets on the mean over targets.
    """
    quantile = float(students_t.ppf(1 - LEVEL / 2, spread.degrees))
    return quantile * spread.deviation * math.sqrt(2 / runs)


def difference(scores: Scores, method: str, base: str, targets: tuple[str, ...]) -> Difference | None:
    """Between two methods' means over targets, each target counting the same.

    Its standard error comes from these two methods' own runs, every run counting as independent of the others.

    Returns:
        None if either method lacks a target.
    """
    value, variance, repeated = 0.0, 0.0, True
    for sign, name in ((1, method), (-1, base)):
        for target in targets:
            values = of_cell(scores, name, target)
            if not values:
                return None
            value += sign * statistics.fmean(values) / len(targets)
            repeated = repeated and len(values) > 1
            if repeated:
                variance += statistics.variance(values) / len(values) / len(targets) ** 2
    return Difference(value, math.sqrt(variance) if repeated else None)


def scores_of(runs: Path, metric: str) -> Scores:
    """Of all finished runs below a folder, in points of a hundred; a method is its folder and what was typed for it."""
    scores = {}
    for file in sorted(runs.rglob("seed*/result.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        method = file.parent.parent.name + file.parent.name.removeprefix(f"seed{result['seed']}")
        scores |= {(method, target, result["seed"]): 100 * row[metric] for target, row in result["summary"].items()}
    return scores


def main(runs: Path) -> None:
    print("| smallest difference at 5 % | s.d. of a run | d.f. | on one target | on their mean |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for metric in ("mAP", "rank1"):
        scores = scores_of(runs, metric)
        if not scores:
            sys.exit(f"{runs}: no finished run in it")
        seeds, targets = (len({key[part] for key in scores}) for part in (2, 1))
        spreads = {"runs as they are": within_cells(scores), "paired by target and seed": within_pairs(scores)}
        for name, spread in spreads.items():
            if spread is not None:
                one, mean = (smallest_difference(spread, number) for number in (seeds, seeds * targets))
                print(f"| {metric}, {name} | {spread.deviation:.2f} | {spread.degrees} | {one:.1f} | {mean:.1f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
