"""What came of a sweep, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dgreid.run.cells import Cell, result

WORDS = {"done": "done", "failed": "failed", "running": "running", "stopped": "stopped", "planned": "not run"}
ALWAYS = ("protocol=", "strategy=", "seed=")


def print_sweep(cells: Sequence[Cell]) -> None:
    """A line for each job and target, then why jobs failed, then their numbers."""
    console = Console(highlight=False)
    named = list(zip(cells, short_names(cells), strict=True))
    table = Table("run", "", "target", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("mAP", "Rank-1"):
        table.add_column(column, justify="right")
    for cell, name in named:
        found = result(cell.folder if cell.state == "done" else None)
        word = WORDS[cell.state] + (", variant" if found.get("variant") else "")
        for target, row in found["summary"].items():
            table.add_row(name, word, target, *(f"{100 * row[key]:.1f}" for key in ("mAP", "rank1")))
        if not found["summary"]:
            table.add_row(name, word, "", "", "")
    if cells:
        console.print()
        console.print(table)
    for cell, name in named:
        if WORDS[cell.state] == "failed":
            console.print(f"failed: {name}: {cell.message}", markup=False, soft_wrap=True)
    states = [WORDS[cell.state] for cell in cells]
    counts = ", ".join(f"{states.count(word)} {word}" for word in dict.fromkeys(WORDS.values()) if word in states)
    console.print(f"sweep of {len(cells)} run{'s' * (len(cells) != 1)}: {counts}", markup=False)
    if set(states) - {"done"}:
        console.print("the same command with resume=auto goes on: finished runs are passed over", markup=False)


def print_cell(cell: Cell, planned: Sequence[Cell]) -> None:
    """A line for a job that has ended."""
    names = dict(zip([one.number for one in planned], short_names(planned), strict=True))
    name = names.get(cell.number, " ".join(cell.overrides))
    figures = [
        f"{target} mAP {100 * row['mAP']:.1f}, Rank-1 {100 * row['rank1']:.1f}"
        for target, row in result(cell.folder)["summary"].items()
        if cell.state == "done"
    ]
    print(f"{WORDS[cell.state]}: {'; '.join([name, *figures, *filter(None, [cell.message])])}", flush=True)


def short_names(cells: Sequence[Cell]) -> list[str]:
    """Of each job what was typed for it and not for all, and always what a cell of a table is called by."""
    common = set.intersection(*(set(cell.overrides) for cell in cells)) if cells else set()
    shared = {typed for typed in common if not typed.startswith(ALWAYS)}
    return [
        " ".join(typed for typed in cell.overrides if typed not in shared) or Path(cell.folder or str(cell.number)).name
        for cell in cells
    ]
