"""What all pictures share: the canvas, colours that everybody can tell apart, and legends that stay on it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgreid.files import write_atomically
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 120
# Told apart with any kind of colour vision (Okabe and Ito, 2008), without the yellow that is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINE_STYLES = ("-", "--", "-.", ":")
LEGEND_KEY_CHARACTERS = 7  # what the key and the gap of a legend's entry take up


def new_figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    """An empty canvas, in inches."""
    from matplotlib.figure import Figure  # a figure of its own, without pyplot's global state and windows

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout)


def save(figure: Figure, path: Path) -> Path:
    """Writes the PNG; without the version in its metadata it changes only when what it shows does."""
    return write_atomically(path, lambda temporary: figure.savefig(temporary, metadata={"Software": None}))


def line_looks(count: int) -> list[dict[str, Any]]:
    """Colour and style of so many lines; a style comes again after all colours have had the one before."""
    return [
        {"color": COLOURS[k % len(COLOURS)], "linestyle": LINE_STYLES[k // len(COLOURS) % len(LINE_STYLES)]}
        for k in range(count)
    ]


def wrapped(names: Sequence[str], characters: int) -> list[str]:
    """The names, broken into lines where they are longer than a legend is wide."""
    return ["\n".join(textwrap.wrap(name, characters)) or name for name in names]


def legend_columns(labels: Sequence[str], characters: int) -> int:
    """How many columns of a legend fit beside each other.

    Args:
        labels: the entries.
        characters: the width there is.
    """
    longest = max(len(line) for label in labels for line in label.split("\n"))
    return max(1, min(len(labels), characters // (longest + LEGEND_KEY_CHARACTERS)))


def legend_lines(labels: Sequence[str], columns: int) -> int:
    """How many lines of text a legend of so many columns has at most."""
    rows = -(-len(labels) // columns)
    return rows * max(label.count("\n") + 1 for label in labels)


def image_label(record: ReIDRecord) -> str:
    """Who is on an image and which camera took it."""
    camera = "?" if record.camera == UNKNOWN_CAMERA else str(record.camera)
    return f"id {record.identity}\ncamera {camera}"
