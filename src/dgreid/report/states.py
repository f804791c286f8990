"""How far each run of a sweep is, and which cells of its grid nobody has begun."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from dgreid.errors import InputError
from dgreid.report.grouping import Row, Sheet, sheets
from dgreid.report.reading import Run, read_run
from dgreid.report.table import Cell, Column, Line, Table
from dgreid.run.continuing import is_finished
from dgreid.run.failures import FAILED
from dgreid.run.folder import RESULT
from dgreid.run.folder_lock import LOCK, check_unused
from dgreid.run.stored import stored_json

State: TypeAlias = Literal["done", "running", "failed", "interrupted", "missing", "damaged"]
STATES: tuple[State, ...] = ("done", "running", "failed", "interrupted", "missing", "damaged")


class Told(NamedTuple):
    """How far a run is.

    Attributes:
        state: in a word.
        why: what is known of the reason; empty for nothing.
    """

    state: State
    why: str = ""


def state_of(run: Run) -> Told:
    """How far a run is; nothing of it is changed.

    Raises:
        InputError: a file of it is damaged.
    """
    lock = run.folder / LOCK
    if run.scored and is_finished(run.folder, run.config):
        return Told("done")
    if lock.is_file() and os.access(lock, os.W_OK):
        try:
            check_unused(run.folder)
        except InputError as error:
            return Told("running", str(error).partition(" is in use by ")[2].partition(", and ")[0])
    if (run.folder / FAILED).is_file():
        return Told("failed", str(stored_json(run.folder / FAILED).get("message", "")))
    if run.scored:
        return Told("interrupted", f"{RESULT} is of a shorter run")
    return Told("interrupted", _left_behind(lock))


def status(folders: Sequence[Path]) -> list[Table]:
    """A table of states for each protocol, and one of reasons.

    Args:
        folders: of the runs.

    Raises:
        InputError: two runs are the same.
    """
    runs, told, damaged = [], {}, []
    for folder in folders:
        try:
            run = read_run(folder)
            told[folder] = state_of(run)
            runs.append(run)
        except InputError as error:
            damaged.append((folder, str(error)))
    found = sheets(runs)
    tables = [_grid(sheet, {run.folder: told[run.folder] for run in runs}) for sheet in found]
    reasons = [(run.folder, told[run.folder].state, told[run.folder].why) for run in runs if told[run.folder].why]
    reasons += [(folder, "damaged", why) for folder, why in damaged]
    if reasons:
        lines = [Line((Cell(state), Cell(str(folder)), Cell(why))) for folder, state, why in reasons]
        columns = tuple(Column(name, numeric=False) for name in ("state", "run", "what is known"))
        tables.append(Table("Not done", (), columns, tuple(lines)))
    return tables


def _grid(sheet: Sheet, told: dict[Path, Told]) -> Table:
    seeds = sorted({run.seed for row in sheet.rows for run in row.runs})
    lines, counts = [], Counter[State]()
    for row in sheet.rows:
        for target in sheet.targets:
            states = [_state(row, target, seed, told) for seed in seeds]
            counts.update(states)
            lines.append(Line((Cell(row.name), Cell(target), *(Cell(state, state) for state in states))))
    columns = [Column(name, numeric=False) for name in ("method", "target", *(f"seed {seed}" for seed in seeds))]
    counted = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return Table(sheet.title, (f"{sum(counts.values())} cells: {counted}.",), tuple(columns), tuple(lines))


def _state(row: Row, target: str, seed: int, told: dict[Path, Told]) -> State:
    return next((told[run.folder].state for run in row.on(target) if run.seed == seed), "missing")


def _left_behind(lock: Path) -> str:
    """Who did not leave properly, where that is known."""
    try:
        user = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    if not isinstance(user, dict):
        return ""
    here = user.get("host") == socket.gethostname()
    rest = "was killed" if here else "did not end properly; it may still run there"
    return f"process {user.get('pid')} on {user.get('host')}, there since {user.get('since')}, {rest}"
