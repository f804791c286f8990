"""The jobs of a sweep: each leaves a note in a folder of the sweep, as it may run in a process on another machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dgreid.errors import InputError
from dgreid.files import write_json
from dgreid.run.folder import RESULT

SWEEP = "DGREID_SWEEP"  # names the folder of notes to all processes of a sweep
PLAN = "sweep.json"
STOPPED = "stopped"  # this file asks that no further job begins
FORMAT = 1
State = Literal["planned", "running", "done", "failed", "stopped"]


class Cell(NamedTuple):
    """A job of a sweep.

    Attributes:
        number: Hydra's, from 0.
        overrides: what was typed for it, ``key=value`` each.
        folder: of its run; None if that could not be told.
        state: how far it came.
        message: why it failed.
        process: id of the process that works on it, on its machine; 0 before.
    """

    number: int
    overrides: list[str]
    folder: str | None
    state: State = "planned"
    message: str = ""
    process: int = 0

    def write(self, notes: Path) -> None:
        """Leaves the note."""
        write_json(notes / f"{self.number}.json", {"format": FORMAT, **self._asdict()})


def notes_folder() -> Path | None:
    """Of the sweep that this process works for; None outside one."""
    return Path(os.environ[SWEEP]) if SWEEP in os.environ else None


def program() -> list[str]:
    """What Python was told to run, without what was typed for it: of a sweep's job, what its sweep was started by."""
    notes = notes_folder()
    if notes is not None and (known := _json(notes / PLAN).get("program")):
        return list(known)
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]


def write_plan(notes: Path, cells: list[Cell], launcher: str) -> None:
    """Writes what is to be done, and by what program; what was not begun is then known later.

    Raises:
        InputError: it cannot be written.
    """
    planned = [cell._asdict() for cell in cells]
    write_json(notes / PLAN, {"format": FORMAT, "program": program(), "launcher": launcher, "cells": planned})


def planned_cells(notes: Path) -> list[Cell]:
    """Those that were to be done, as far as the sweeper could tell."""
    return [Cell(**cell) for cell in _json(notes / PLAN).get("cells", ())]


def planned_launcher(notes: Path) -> str:
    """The option of ``hydra/launcher`` that starts the jobs."""
    return str(_json(notes / PLAN).get("launcher", "basic"))


def read_cells(notes: Path) -> list[Cell]:
    """All jobs by number, as far as they are known: planned, begun or ended."""
    found = {cell.number: cell for cell in planned_cells(notes)}
    for file in notes.glob("[0-9]*.json"):
        cell = Cell(**{key: value for key, value in _json(file).items() if key != "format"})
        found[cell.number] = cell
    return [found[number] for number in sorted(found)]


def source_score(folder: Path | None) -> float | None:
    """What a job returns to its sweeper: the best mean mAP over held-out people of the sources, 0..1.

    Never a target's figure, so that no sweeper can choose by the target. None if nobody was held out.
    """
    found = {} if folder is None else _json(folder / RESULT)
    score = found.get("selection_scores", {}).get("source")
    return None if score is None else float(score)


def check_score_wanted(sweeper: str, config: Mapping[str, Any]) -> None:
    """A sweeper that chooses by the jobs' values needs some.

    Args:
        sweeper: the option of ``hydra/sweeper``; ``basic`` chooses nothing.
        config: the run's.

    Raises:
        InputError: nobody is held out of the sources, or never scored.
    """
    if sweeper != "basic" and not (config["holdout"] > 0 and config["evaluate_every"]):
        raise InputError(
            f"hydra/sweeper={sweeper} chooses by a job's value, which is the mAP on held-out people of the sources, "
            "never the target's: give holdout=0.1 (a share of each source's identities) and evaluate_every=1 (epochs)"
        )


def result(folder: str | None) -> dict[str, Any]:
    """What a finished run's ``result.json`` holds; of any other, nothing but an empty summary."""
    found = {} if folder is None else _json(Path(folder) / RESULT)
    return {"summary": {}, **found}


def _json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}
