"""A table apart from any format: columns in groups, cells with a text, a value to sort by and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

EMPTY = "-"
Kind: TypeAlias = Literal["measured", "published"]


class Cell(NamedTuple):
    """A cell.

    Attributes:
        text: what is shown, as it is: no format's signs.
        value: to sort by; None sorts last.
        best: whether it is told apart as the best of its column.
        notes: what a reader has to know of it; written below the table.
    """

    text: str = EMPTY
    value: float | str | None = None
    best: bool = False
    notes: tuple[str, ...] = ()


class Column(NamedTuple):
    """A column.

    Attributes:
        name: its heading.
        group: a heading that it shares with its neighbours; empty for none.
        numeric: whether its cells stand to the right.
    """

    name: str
    group: str = ""
    numeric: bool = True


class Line(NamedTuple):
    """A line of cells, one for each column.

    Attributes:
        cells: of the line.
        kind: whether it was measured here or published.
    """

    cells: tuple[Cell, ...]
    kind: Kind = "measured"


class Table(NamedTuple):
    """A table.

    Attributes:
        title: above it.
        text: sentences below the title.
        columns: headings.
        lines: its lines; the published ones last.
    """

    title: str
    text: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]

    @property
    def notes(self) -> dict[str, str]:
        """The mark of each note: 1, 2, ... in the order of the cells."""
        notes = dict.fromkeys(note for line in self.lines for cell in line.cells for note in cell.notes)
        return {note: str(place) for place, note in enumerate(notes, start=1)}

    def marks(self, cell: Cell) -> str:
        """The marks of a cell's notes, by commas."""
        return ",".join(self.notes[note] for note in cell.notes)


def groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Neighbouring columns that share a heading: the heading and how many they are."""
    found: list[tuple[str, int]] = []
    for column in columns:
        if found and column.group and found[-1][0] == column.group:
            found[-1] = (column.group, found[-1][1] + 1)
        else:
            found.append((column.group, 1))
    return found
