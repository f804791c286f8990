"""Answers on the terminal: a table for each query."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dgreid.search.answers import Answer, Answers, shown_path
from dgreid.search.images import printable

QUERIES_SHOWN = 20
LONGEST_REPEATED = 20  # characters of a folder


def print_answers(answers: Answers, console: Console | None = None) -> None:
    """Prints the first answers, and how many there are.

    Args:
        answers: of any number of queries.
        console: where; the standard output by default.
    """
    console = console or Console(highlight=False)
    columns = [
        column
        for column in ("identity", "camera")
        if any(getattr(hit.image, column) for answer in answers.answers for hit in answer.hits)
    ]
    shown = answers.answers[:QUERIES_SHOWN]
    folder = _common_folder([hit.image.path for answer in shown for hit in answer.hits])
    if folder:
        console.print(Text(f"images in {printable(shown_path(folder))}"), soft_wrap=True)
    for answer in shown:
        console.print(_heading(answer, answers), soft_wrap=True)
        console.print(_table(answer, columns, folder, answers.threshold is not None))
    rest = len(answers.answers) - QUERIES_SHOWN
    if rest > 0:
        console.print(f"and {rest:,} more queries")
    if answers.threshold is not None:
        nobody = sum(answer.nobody for answer in answers.answers)
        console.print(f"nobody: {nobody:,} of {len(answers.answers):,} queries", soft_wrap=True)
        console.print(answers.threshold.explained(answers.index.metadata.images), soft_wrap=True)


def _heading(answer: Answer, answers: Answers) -> Text:
    known = [
        f"{column} {getattr(answer.query, column)}"
        for column in ("identity", "camera")
        if getattr(answer.query, column)
    ]
    heading = Text(f"\n{printable(shown_path(answer.query.path))}", style="bold")
    heading.append("".join(f"  {printable(words)}" for words in known), style="not bold")
    if answers.threshold is not None and answer.nobody:
        best = f", the best score is {answer.hits[0].score:.3f}" if answer.hits else ""
        heading.append(f"\nnobody in the gallery{best}", style="not bold yellow")
    return heading


def _common_folder(paths: Sequence[str]) -> str:
    """The folder that holds all of them; empty where they have none, or it is short enough to be repeated."""
    folder = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    return folder if len(shown_path(folder)) > LONGEST_REPEATED else ""


def _table(answer: Answer, columns: list[str], folder: str, has_threshold: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("rank", "score"):
        table.add_column(name, justify="right")
    for name in (*["threshold"] * has_threshold, *columns, "image"):
        table.add_column(name, overflow="fold")
    for hit in answer.hits:
        reached = ["reached" if hit.accepted else "below"] * has_threshold
        cells = [str(hit.rank), f"{hit.score:.3f}", *reached, *(getattr(hit.image, column) for column in columns)]
        cells.append(os.path.relpath(hit.image.path, folder) if folder else shown_path(hit.image.path))
        style = "" if hit.accepted else "dim"
        table.add_row(*(Text(printable(cell), style=style) for cell in cells))
    return table
