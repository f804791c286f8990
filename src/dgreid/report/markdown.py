"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from dgreid.report.table import Cell, Table
from dgreid.report.text import markdown


def markdown_report(tables: Sequence[Table]) -> str:
    """All tables, one after another."""
    return "\n\n".join(map(markdown_table, tables)) + "\n"


def markdown_table(table: Table) -> str:
    """One table with its title, sentences and notes."""
    heads = [markdown(" ".join(filter(None, (column.group, column.name)))) for column in table.columns]
    rules = ["---:" if column.numeric else "---" for column in table.columns]
    lines = [heads, rules, *([_cell(cell, table) for cell in line.cells] for line in table.lines)]
    parts = [
        f"## {markdown(table.title)}",
        *map(markdown, table.text),
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        "\n".join(f"{mark}. {markdown(note)}" for note, mark in table.notes.items()),
    ]
    return "\n\n".join(filter(None, parts))


def _cell(cell: Cell, table: Table) -> str:
    text = markdown(cell.text)
    marks = table.marks(cell)
    return (f"**{text}**" if cell.best else text) + (f" ({marks})" if marks else "")
