"""The tables beside the results: differences to a baseline, selection rules, cost, settings, runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from dgreid.report.comparison import Difference, Resampling
from dgreid.report.grouping import Row, Sheet
from dgreid.report.reading import METRICS, Run
from dgreid.report.results_table import Place, difference_at, heading, places, row_notes, spread_at
from dgreid.report.spread import Spread, by_seed, plus_minus, shared, spread
from dgreid.report.table import EMPTY, Cell, Column, Line, Table

RULES = ("last", "source", "oracle")
LARGEST_COUNT = 1_000_000  # of identities or images in a batch
NARROW = {
    "queries": "one seed: the interval is over queries alone, and other seeds may differ by more",
    "seeds": "queries could not be paired: the interval is over seeds alone",
    "nothing": "one seed, and queries could not be paired: no interval",
}
METHOD = Column("method", numeric=False)


def difference_table(sheet: Sheet, baseline: Row, resampling: Resampling) -> Table | None:
    """Every other method minus the baseline, in points of a hundred; None if there is no other."""
    lines = [
        Line(
            (
                Cell(row.name, row.name),
                *(_difference(row, baseline, place, sheet, resampling) for place in places(sheet)),
            )
        )
        for row in sheet.rows
        if row is not baseline
    ]
    if not lines:
        return None
    unit = "queries" if resampling.unit == "query" else "identities of the queries"
    text = (
        f"Difference to {baseline.name} in points, paired by target, seed and query, with its 95 % interval. It joins "
        f"a bootstrap of the {unit} ({resampling.resamples:,} resamples) with the t interval over seeds.",
    )
    columns = tuple(Column(METRICS[place.metric], heading(place, sheet)) for place in places(sheet))
    return Table(f"Against {baseline.name}: {sheet.title}", text, (METHOD, *columns), tuple(lines))


def difference_cell(found: Difference | None) -> Cell:
    """A difference and its interval, in points of a hundred."""
    if found is None:
        return Cell()
    text = points(found.value)
    if found.low is not None and found.high is not None:
        text += f" [{points(found.low)}, {points(found.high)}]"
    notes = (NARROW[found.covers],) if found.covers in NARROW else ()
    return Cell(text, found.value, notes=notes)


def points(share: float) -> str:
    """A difference in points of a hundred, with its sign; what rounds to nothing has none."""
    return f"{100 * share:+.1f}".replace("-0.0", "+0.0").replace("+0.0", "0.0")


def selection_table(sheet: Sheet) -> Table | None:
    """The mAP by each selection rule; None where no run has more than one."""
    ruled = [row for row in sheet.rows if len({rule for run in row.runs for rule in _rules(run)} & set(RULES)) > 1]
    if not ruled:
        return None
    lines = []
    for row in ruled:
        cells = [Cell(row.name, row.name)]
        for target in sheet.targets:
            cells += [_plain(spread_at(row, Place(target, "mAP"), sheet, rule)) for rule in RULES]
            cells.append(_worth(row, target))
        lines.append(Line(tuple(cells)))
    columns = [Column(name, target) for target in sheet.targets for name in (*RULES, "oracle - last")]
    text = (
        "mAP in % of the last checkpoint, of the one that is best on held-out people of the sources, and of the one "
        "that is best on the target's test set. oracle - last is what choosing on the test set was worth.",
    )
    return Table(f"How the checkpoint was chosen: {sheet.title}", text, (METHOD, *columns), tuple(lines))


def cost_table(sheet: Sheet) -> Table:
    """What a run of each method takes; medians over its runs."""
    columns = (
        METHOD, Column("runs"), Column("steps"), Column("images seen"), Column("training, minutes"),
        Column("peak memory, GB"), Column("parameters, millions"), Column("initial weights", numeric=False),
        Column("device", numeric=False),
    )  # fmt: skip
    lines = [
        Line(
            (
                Cell(row.name, row.name, notes=row_notes(row, sheet)),
                Cell(str(len(row.runs)), len(row.runs)),
                _median(row, lambda run: run.record.get("steps"), "{:,.0f}"),
                _median(row, images_seen, "{:,.0f}"),
                _median(row, lambda run: _scaled(run.record.get("training_seconds"), 60), "{:.1f}"),
                _median(row, _peak_memory, "{:.2f}"),
                _median(row, lambda run: _scaled(run.record.get("parameters"), 1e6), "{:.2f}"),
                Cell(row.weights, row.weights),
                _device(row),
            )
        )
        for row in sheet.rows
    ]
    text = ("Medians over runs. Times compare only on one machine that did nothing else.",)
    return Table(f"Cost: {sheet.title}", text, columns, tuple(lines))


def settings_table(sheet: Sheet) -> Table | None:
    """Everything in which methods differ besides what belongs to a method; None if that is nothing."""
    keys = sorted({key for row in sheet.rows for key in row.settings if not _methods_own(key)})
    keys = [key for key in keys if len({row.settings.get(key) for row in sheet.rows}) > 1]
    if not keys:
        return None
    columns = (METHOD, *(Column(key, numeric=False) for key in keys))
    lines = [
        Line((Cell(row.name, row.name), *(Cell(row.settings.get(key, EMPTY), row.settings.get(key)) for key in keys)))
        for row in sheet.rows
    ]
    text = ("Values, other than a method's own, in which rows differ: what is compared is all of them together.",)
    return Table(f"What else differs: {sheet.title}", text, columns, tuple(lines))


def runs_table(sheet: Sheet) -> Table:
    """Every run, with what it takes to find it again."""
    columns = [
        Column(name, numeric=False)
        for name in ("method", "target", "seed", "selection", "fingerprint", "commit", "finished", "folder")
    ]
    columns[2:2] = [Column(name) for name in METRICS.values()]
    lines = [Line(_run_cells(row, run, target)) for row in sheet.rows for run in row.runs for target in run.targets]
    return Table(f"Runs: {sheet.title}", (), tuple(columns), tuple(lines))


def images_seen(run: Run) -> float | None:
    """Training images that went through the net, each time counted."""
    steps = run.record.get("steps")
    of_a_step = run.record.get("batch", {}).get("images")
    if of_a_step is None:
        data = run.config.get("data", {})
        each = data.get("identities_per_batch"), data.get("images_per_identity"), len(run.sources)
        of_a_step = each[0] * each[1] * each[2] if all(map(_is_count, each)) else None
    return None if steps is None or not isinstance(of_a_step, int) else steps * of_a_step


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 < value < LARGEST_COUNT


def _difference(row: Row, baseline: Row, place: Place, sheet: Sheet, resampling: Resampling) -> Cell:
    return difference_cell(difference_at(row, baseline, place, sheet, resampling))


def _rules(run: Run) -> set[str]:
    return {row["selection"] for row in run.record.get("rows", ())}


def _plain(found: Spread | None) -> Cell:
    if found is None:
        return Cell()
    return Cell(plus_minus(f"{100 * found.mean:.1f}", found.deviation), found.mean)


def _worth(row: Row, target: str) -> Cell:
    """The mean over seeds of oracle - last, and its deviation."""
    oracle, last = (by_seed(row, target, "mAP", rule) for rule in ("oracle", "last"))
    found = spread([oracle[seed] - last[seed] for seed in shared((oracle, last))])
    if found is None:
        return Cell()
    return Cell(plus_minus(points(found.mean), found.deviation), found.mean)


def _median(row: Row, number: Callable[[Run], Any], form: str) -> Cell:
    values = [value for run in row.runs if isinstance(value := number(run), int | float)]
    if not values:
        return Cell()
    median = statistics.median(values)
    return Cell(form.format(median), median)


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _peak_memory(run: Run) -> float | None:
    """Of the device that held most, in GB."""
    peaks = [value for value in run.record.get("peak_memory_bytes", {}).values() if isinstance(value, int | float)]
    return max(peaks) / 1e9 if peaks else None


def _device(row: Row) -> Cell:
    names = sorted({str(run.record.get("environment", {}).get("device", "not recorded")) for run in row.runs})
    return Cell(", ".join(names), ", ".join(names))


def _methods_own(key: str) -> bool:
    return key == "initial weights" or key.partition(".")[0] in ("strategy", "loss_style", "memory_style")


def _run_cells(row: Row, run: Run, target: str) -> tuple[Cell, ...]:
    figures = run.row(target) or {}
    numbers = [Cell(f"{100 * figures[key]:.2f}", figures[key]) if key in figures else Cell() for key in METRICS]
    record = run.record
    told: Sequence[object] = (
        run.seed, run.selection, str(record.get("fingerprint", ""))[:12],
        record.get("environment", {}).get("commit"), record.get("finished"), run.folder,
    )  # fmt: skip
    cells = [Cell(row.name, row.name), Cell(target, target), *numbers]
    cells += [Cell(str(value), value if isinstance(value, int) else str(value)) for value in told]
    return tuple(cells)
