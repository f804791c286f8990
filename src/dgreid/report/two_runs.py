"""One run against another: what differs in what they are, and in what they score."""

from __future__ import annotations

from collections.abc import Mapping

from dgreid.errors import InputError
from dgreid.report.comparison import Resampling, run_difference
from dgreid.report.further_tables import difference_cell
from dgreid.report.grouping import initial_weights
from dgreid.report.reading import METRICS, Run
from dgreid.report.table import EMPTY, Cell, Column, Line, Table

SAME = "Nothing that can change a result differs."
REPEATED = ("strategy.loss_style", "strategy.memory_style")  # of the groups of these names
SEED_ALONE = "They differ in their seed alone: differences of figures are chance."


def two_runs(a: Run, b: Run, resampling: Resampling) -> list[Table]:
    """A table of what differs, and one of figures.

    Args:
        a: a finished run.
        b: another.
        resampling: how queries are drawn again.

    Raises:
        InputError: one has no result.
    """
    for run in (a, b):
        if not run.scored:
            raise InputError(
                f"{run.folder} has no result yet; `python -m dgreid.report status {run.folder}` says how far it is"
            )
    return [_what_differs(a, b), _figures(a, b, resampling)]


def _what_differs(a: Run, b: Run) -> Table:
    told = [_told(run) for run in (a, b)]
    keys = [key for key in told[0] | told[1] if told[0].get(key) != told[1].get(key) and not key.startswith(REPEATED)]
    of_the_run = [key for key in keys if key in a.identity or key in b.identity]
    text = {(): SAME, ("seed",): SEED_ALONE}.get(tuple(of_the_run), "")
    lines = [Line((Cell(key), *(Cell(one.get(key, EMPTY)) for one in told))) for key in keys]
    columns = tuple(Column(name, numeric=False) for name in ("value", "A", "B"))
    folders = (f"A: {a.folder}", f"B: {b.folder}")
    return Table("What differs", (*folders, *filter(None, (text,))), columns, tuple(lines))


def _told(run: Run) -> dict[str, str]:
    """Everything that can change a result, then what it was made with, as text."""
    told = {key: str(run.identity[key]) for key in sorted(run.identity, key=lambda key: (key.count("."), key))}
    environment = run.record.get("environment", {})
    packages = environment.get("packages", {})
    told |= {"(initial weights)": initial_weights(run), "(selection)": run.selection}
    told |= {f"({key})": str(environment.get(key)) for key in ("commit", "device", "python")}
    told |= {f"({name})": str(packages.get(name)) for name in sorted(packages)} if isinstance(packages, dict) else {}
    variant = run.variant
    return told | {"(deviates from its protocol)": "not recorded" if variant is None else "; ".join(variant) or "no"}


def _figures(a: Run, b: Run, resampling: Resampling) -> Table:
    lines = [
        Line(_figure(a, b, target, metric, resampling))
        for target in dict.fromkeys((*a.targets, *b.targets))
        for metric in METRICS
    ]
    columns = (
        Column("target", numeric=False), Column("figure", numeric=False), Column("A"), Column("B"), Column("B - A"),
        Column("clear", numeric=False),
    )  # fmt: skip
    unit = "queries" if resampling.unit == "query" else "identities of the queries"
    text = (
        f"In %. B - A in points, with the 95 % interval of a paired bootstrap of the {unit} "
        f"({resampling.resamples:,} resamples); clear: it does not hold 0. It speaks of these two runs: other seeds "
        "of the same methods may differ by more.",
    )
    return Table("Figures", text, columns, tuple(lines))


def _figure(a: Run, b: Run, target: str, metric: str, resampling: Resampling) -> tuple[Cell, ...]:
    found = run_difference(b, a, target, metric, resampling)
    clear = EMPTY if found is None or found.low is None else "yes" if found.excludes_zero else "no"
    figures = [_percent(run.row(target), metric) for run in (a, b)]
    return Cell(target), Cell(METRICS[metric]), *figures, difference_cell(found)._replace(notes=()), Cell(clear)


def _percent(figures: Mapping[str, object] | None, metric: str) -> Cell:
    value = None if figures is None else figures.get(metric)
    return Cell(f"{100 * value:.1f}", value) if isinstance(value, int | float) else Cell()
