"""The table of results: each method's figures on each target, the published ones below, and the best of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from dgreid.report.comparison import Difference, Resampling, difference, mean_difference
from dgreid.report.grouping import Row, Sheet
from dgreid.report.published import Published, Score, published
from dgreid.report.reading import METRICS
from dgreid.report.spread import Spread, by_seed, mean_by_seed, plus_minus, spread
from dgreid.report.table import Cell, Column, Line, Table

ON_THE_TARGET = "oracle"
UNKNOWN_VARIANT = "Whether the runs deviate from the protocol was not recorded."


class Place(NamedTuple):
    """What a column is of.

    Attributes:
        target: name of a domain; empty for the mean over all targets of the table.
        metric: a key of :data:`~dgreid.report.reading.METRICS`.
    """

    target: str
    metric: str


def places(sheet: Sheet) -> list[Place]:
    """The columns of figures: every metric of each target, and of their mean where there are several."""
    targets = [*sheet.targets, *([""] if len(sheet.targets) > 1 else [])]
    return [Place(target, metric) for target in targets for metric in METRICS]


def heading(place: Place, sheet: Sheet) -> str:
    """Above the columns of a target."""
    return place.target or f"mean of {len(sheet.targets)}"


def spread_at(row: Row, place: Place, sheet: Sheet, rule: str | None = None) -> Spread | None:
    """A method's figure in a column, over its seeds."""
    if place.target:
        return spread(list(by_seed(row, place.target, place.metric, rule).values()))
    return spread(list(mean_by_seed(row, sheet.targets, place.metric, rule).values()))


def difference_at(a: Row, b: Row, place: Place, sheet: Sheet, resampling: Resampling) -> Difference | None:
    """One method minus another in a column."""
    if place.target:
        return difference(a, b, place.target, place.metric, resampling)
    return mean_difference(a, b, sheet.targets, place.metric, resampling)


def results_table(sheet: Sheet, resampling: Resampling) -> Table:
    """Mean ± standard deviation over seeds, in percent, with published rows of the same protocol below.

    Args:
        sheet: the methods.
        resampling: for the intervals that say what is best.
    """
    columns = [Column(METRICS[place.metric], heading(place, sheet)) for place in places(sheet)]
    best = {place: best_row(sheet, place, resampling) for place in places(sheet)}
    lines = [Line(_measured(row, sheet, best)) for row in sheet.rows]
    lines += [Line(_published(row, sheet), "published") for row in published(sheet.protocol) if _fits(row, sheet)]
    unknown = [UNKNOWN_VARIANT] if sheet.protocol and all(row.variant is None for row in sheet.rows) else []
    return Table(
        f"Results: {sheet.title}",
        (
            "mAP and Rank-1 in %: mean ± standard deviation over seeds; one seed has no ±.",
            "Bold: the best of its column, where the 95 % interval of its difference to the next, over queries and "
            "seeds, does not hold 0. Never bold: a single seed, a variant, a checkpoint chosen on the target, "
            "other initial weights than the rest, published rows.",
            *unknown,
        ),
        (Column("method", numeric=False), Column("seeds"), *columns),
        tuple(lines),
    )


def seeds_of(row: Row) -> int:
    """How many seeds a method has on the target with most."""
    return max(Counter(target for run in row.runs for target in run.targets).values())


def best_row(sheet: Sheet, place: Place, resampling: Resampling) -> Row | None:
    """The method that is best in a column, if the interval of its difference to the next says so."""
    common = common_weights(sheet)
    spreads = {row.name: spread_at(row, place, sheet) for row in sheet.rows if _can_be_best(row, common)}
    known = {name: found for name, found in spreads.items() if found is not None}
    order = sorted(known, key=lambda name: -known[name].mean)
    if len(order) < 2:
        return None
    first, second = (next(row for row in sheet.rows if row.name == name) for name in order[:2])
    found = difference_at(first, second, place, sheet, resampling)
    clear = found is not None and found.covers == "queries and seeds" and found.excludes_zero and found.value > 0
    return first if clear else None


def common_weights(sheet: Sheet) -> str | None:
    """The initial weights that most methods of a table have; None if no weights have more than others."""
    counts = Counter(row.weights for row in sheet.rows).most_common(2)
    return counts[0][0] if len(counts) == 1 or counts[0][1] > counts[1][1] else None


def _can_be_best(row: Row, common: str | None) -> bool:
    return not row.variant and row.selection != ON_THE_TARGET and row.weights == common


def _measured(row: Row, sheet: Sheet, best: Mapping[Place, Row | None]) -> tuple[Cell, ...]:
    seeds = seeds_of(row)
    cells = [Cell(row.name, row.name, notes=row_notes(row, sheet)), Cell(str(seeds), seeds)]
    for place in places(sheet):
        found = spread_at(row, place, sheet)
        cells.append(spread_cell(found, seeds, best[place] is not None and best[place] is row))
    return tuple(cells)


def spread_cell(found: Spread | None, seeds: int, best: bool = False) -> Cell:
    """Mean ± standard deviation in percent, with a note where seeds are missing."""
    if found is None:
        return Cell()
    text = plus_minus(f"{100 * found.mean:.1f}", found.deviation)
    notes = (f"{found.seeds} of {seeds} seeds",) if found.seeds != seeds else ()
    return Cell(text, found.mean, best, notes)


def row_notes(row: Row, sheet: Sheet) -> tuple[str, ...]:
    """What makes a method's figures others than those of its neighbours."""
    notes = []
    if row.variant:
        notes.append(f"variant of the protocol: {'; '.join(row.variant)}")
    elif row.variant is None and sheet.protocol and any(one.variant is not None for one in sheet.rows):
        notes.append("whether these runs deviate from the protocol was not recorded")
    if row.selection == ON_THE_TARGET:
        notes.append("checkpoint chosen on the target's test set")
    if len({one.weights for one in sheet.rows}) > 1:
        notes.append(f"initial weights: {row.weights}")
    return tuple(notes)


def _fits(row: Published, sheet: Sheet) -> bool:
    return any(target in row.scores for target in sheet.targets)


def _published(row: Published, sheet: Sheet) -> tuple[Cell, ...]:
    notes = ("; ".join((row.source, *row.remarks)),)
    cells = [Cell(row.method, row.method, notes=notes), Cell()]
    whole = set(row.scores) == set(sheet.targets)
    for place in places(sheet):
        score = row.scores.get(place.target) if place.target else row.average if whole else None
        cells.append(_score_cell(score, place.metric))
    return tuple(cells)


def _score_cell(score: Score | None, metric: str) -> Cell:
    if score is None:
        return Cell()
    value, deviation = (
        (score.mean_average_precision, score.precision_deviation)
        if metric == "mAP"
        else (score.rank1, score.rank1_deviation)
    )
    if value is None:
        return Cell()
    return Cell(f"{value:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}"), value / 100)
