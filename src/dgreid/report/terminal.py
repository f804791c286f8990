"""Tables on the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Printed
from rich.text import Text

from dgreid.report.table import Table
from dgreid.report.text import plain

LOOKS = {"running": "cyan", "failed": "red", "damaged": "red", "interrupted": "yellow", "missing": "dim"}


def print_table(table: Table, console: Console | None = None) -> None:
    """Prints a table with its title, sentences and notes.

    Args:
        table: what is printed.
        console: where; the standard output by default.
    """
    console = console or Console(highlight=False)
    console.print(Text(f"\n{plain(table.title)}", style="bold"))
    for sentence in table.text:
        console.print(Text(plain(sentence)))
    if table.lines:
        printed = Printed(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for column in table.columns:
            name = plain(" ".join(filter(None, (column.group, column.name))))
            printed.add_column(name, justify="right" if column.numeric else "left", overflow="fold")
        for line in table.lines:
            marked = ((plain(cell.text), table.marks(cell)) for cell in line.cells)
            texts = (f"{text} ({marks})" if marks else text for text, marks in marked)
            printed.add_row(*(Text(text, style=LOOKS.get(text, "")) for text in texts))
        console.print(printed)
    for note, mark in table.notes.items():
        console.print(Text(f"{mark}. {plain(note)}"))
