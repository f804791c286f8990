"""A matrix of figures as a picture: lighter cells are lower, a cell without a figure is empty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dgreid.evaluation.figures.canvas import new_figure, save, wrapped

COLOURS = "Blues"
LABEL_CHARACTERS = 36
HEADING_CHARACTERS = 20
DARK = 0.6  # share of the range from which numbers are written in white


def matrix_picture(values: Mapping[str, Mapping[str, float]], across: str, path: Path) -> Path:
    """Draws shares (0..1) in percent.

    Args:
        values: by row and column.
        across: what the columns are.
        path: the PNG to write.
    """
    rows = list(values)
    columns = sorted({column for of in values.values() for column in of})
    table = 100 * np.array([[values[row].get(column, np.nan) for column in columns] for row in rows])
    figure = new_figure(2.6 + 1.6 * len(columns), 1.0 + 0.42 * len(rows))
    axes = figure.subplots()
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    axes.imshow(table, cmap=COLOURS, aspect="auto", vmin=low - (high - low) / 4, vmax=high)
    axes.set_xticks(range(len(columns)), wrapped(columns, HEADING_CHARACTERS))
    axes.set_yticks(range(len(rows)), wrapped(rows, LABEL_CHARACTERS))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xlabel(across)
    axes.xaxis.set_label_position("top")
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            dark = value > low + DARK * (high - low)
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color="white" if dark else "black")
    return save(figure, path)
