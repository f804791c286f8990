"""What a report consists of, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dgreid.errors import InputError
from dgreid.files import write_text
from dgreid.report.comparison import Resampling
from dgreid.report.csv_file import csv_report
from dgreid.report.further_tables import (
    cost_table,
    difference_table,
    runs_table,
    selection_table,
    settings_table,
)
from dgreid.report.grouping import Row, Sheet, sheets
from dgreid.report.latex import latex_report
from dgreid.report.markdown import markdown_report
from dgreid.report.page import page
from dgreid.report.pictures import pictures
from dgreid.report.reading import Run
from dgreid.report.results_table import results_table
from dgreid.report.table import Table

FORMATS = {"markdown": "report.md", "latex": "report.tex", "csv": "report.csv", "html": "report.html"}
USUAL_BASELINE = "fb"


class Report(NamedTuple):
    """Everything that is told of some runs.

    Attributes:
        sheets: the methods of each protocol.
        baselines: what the others of a sheet are compared with; None for nothing.
        tables: of each sheet.
        resampling: how queries were drawn again.
        unfinished: how many runs have no result yet.
    """

    sheets: Sequence[Sheet]
    baselines: Sequence[Row | None]
    tables: Sequence[Sequence[Table]]
    resampling: Resampling
    unfinished: int


def make_report(runs: Sequence[Run], baseline: str | None, resampling: Resampling) -> Report:
    """Groups runs and makes their tables.

    Args:
        runs: finished ones or not; the latter are counted only.
        baseline: name of a row, or of a strategy with a single row; None for ``fb`` where there is one.
        resampling: how queries are drawn again.

    Raises:
        InputError: none is finished, two are the same, or no table has that baseline.
    """
    scored = [run for run in runs if run.scored]
    if not scored:
        raise InputError(
            f"none of the {len(runs)} runs has a result; `python -m dgreid.report status <folder>` says how far "
            "they are"
        )
    found = sheets(scored)
    baselines = [_baseline(sheet, baseline) for sheet in found]
    if baseline is not None and not any(baselines):
        found[0].row(baseline)
    tables = [_tables(sheet, row, resampling) for sheet, row in zip(found, baselines, strict=True)]
    return Report(found, baselines, tables, resampling, len(runs) - len(scored))


def check_writable(folder: Path, formats: Sequence[str], overwrite: bool) -> None:
    """Says before any work whether a report's files are there already.

    Raises:
        InputError: one is, and is not to be overwritten; or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output {folder}: a file has that name; give a folder")
    there = [FORMATS[name] for name in formats if (folder / FORMATS[name]).exists()]
    if there and not overwrite:
        raise InputError(f"{folder} holds {', '.join(there)} already; choose another --output, or add --overwrite")


def write_report(report: Report, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Writes the files of a report.

    Args:
        report: what it says.
        folder: where they go.
        formats: keys of :data:`FORMATS`.

    Raises:
        InputError: a file cannot be written, or a picture of a run is damaged.
    """
    every = [table for tables in report.tables for table in tables]
    texts = {
        "markdown": lambda: markdown_report(every),
        "latex": lambda: latex_report([table for table in every if not table.title.startswith("Runs")]),
        "csv": lambda: csv_report(report.sheets, report.baselines, report.resampling),
        "html": lambda: _page(report),
    }
    return [write_text(folder / FORMATS[name], texts[name]()) for name in formats]


def _page(report: Report) -> str:
    runs = sum(len(row.runs) for sheet in report.sheets for row in sheet.rows)
    facts = [f"{runs:,} finished runs"]
    if report.unfinished:
        facts.append(f"{report.unfinished:,} runs have no result yet and are left out")
    facts.append("A click on a heading sorts. Published rows are grey; their notes name the source.")
    tables = {sheet.title: found for sheet, found in zip(report.sheets, report.tables, strict=True)}
    return page(tables, {sheet.title: pictures(sheet) for sheet in report.sheets}, facts)


def _tables(sheet: Sheet, baseline: Row | None, resampling: Resampling) -> list[Table]:
    found = [
        results_table(sheet, resampling),
        difference_table(sheet, baseline, resampling) if baseline is not None else None,
        selection_table(sheet),
        cost_table(sheet),
        settings_table(sheet),
        runs_table(sheet),
    ]
    return [table for table in found if table is not None]


def _baseline(sheet: Sheet, name: str | None) -> Row | None:
    """The row of a table that the others are compared with; None if it has no such row.

    Raises:
        InputError: several are meant by a name that was given.
    """
    wanted = name or USUAL_BASELINE
    named = [row for row in sheet.rows if row.name == wanted or row.runs[0].strategy == wanted]
    if not named or (name is None and all(row.name != wanted for row in named)):
        return None
    return sheet.row(wanted)
