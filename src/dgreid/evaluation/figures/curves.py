"""Curves: of a training, over ranks, and precision over recall."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.figures.canvas import (
    legend_columns,
    legend_lines,
    line_looks,
    new_figure,
    save,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE_LEGEND_CHARACTERS = 34
LEGEND_CHARACTERS = 84  # below a figure of 7 inches

Curve = tuple[list[int], list[float]]
Shares = Sequence[float] | NDArray[Any]


def training_curves(rows: Sequence[Mapping[str, str]], path: Path) -> Path:
    """Losses over steps and, where there were evaluations, mAP over steps.

    Args:
        rows: the rows of ``metrics.csv``: ``step``, and numbers by name, empty where nothing was logged. Drawn are
            names that start with ``loss`` and names that end in ``mAP``.
        path: the PNG to write.

    Raises:
        InputError: no row holds a loss or mAP.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    groups = {
        "loss": _curves(rows, [name for name in names if name.startswith("loss")]),
        "mAP (%)": _curves(rows, [name for name in names if name.rpartition("/")[2] == "mAP"], scale=100),
    }
    panels = {label: curves for label, curves in groups.items() if curves}
    if not panels:
        raise InputError(f"{path}: nothing to draw, none of the {len(rows)} rows holds a loss or mAP")
    figure = new_figure(9, 0.6 + 3.2 * len(panels))
    for axes, (label, curves) in zip(
        figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0], panels.items(), strict=True
    ):
        labels = wrapped(list(curves), SIDE_LEGEND_CHARACTERS)
        for (steps, values), name, look in zip(curves.values(), labels, line_looks(len(curves)), strict=True):
            few = len(steps) <= 30
            axes.plot(steps, values, label=name, marker="o" if few else None, markersize=4, linewidth=1.3, **look)
        axes.set(xlabel="step", ylabel=label)
        axes.label_outer()
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, frameon=False, fontsize=9)
    return save(figure, path)


def cmc_curves(curves: Mapping[str, Shares], path: Path) -> Path:
    """Cumulative matching characteristic: the share of queries with a match up to each rank.

    Args:
        curves: a line per name (a domain, a state of the net): shares 0..1 at rank 1, 2, ...
        path: the PNG to write.
    """
    figure, axes = _figure_above_its_legend(curves)
    labels = wrapped(list(curves), LEGEND_CHARACTERS)
    for shares, name, look in zip(curves.values(), labels, line_looks(len(curves)), strict=True):
        few = "o" if len(shares) == 1 else None
        axes.plot(range(1, len(shares) + 1), _percent(shares), label=name, linewidth=1.6, marker=few, **look)
    longest = max(len(shares) for shares in curves.values())
    axes.set(xlabel="rank", ylabel="queries with a match (%)", xlim=(0.5, longest + 0.5), ylim=(0, 102))
    axes.set_xticks([rank for rank in (1, 5, 10, 20, 30, 40, 50) if rank <= longest])
    figure.legend(loc="outside lower center", ncols=_columns(curves), frameon=False, fontsize=9)
    return save(figure, path)


def precision_recall_curves(curves: Mapping[str, Shares], path: Path) -> Path:
    """Interpolated precision over recall, the mean over queries.

    Args:
        curves: a line per name: precisions 0..1 at equally spaced recalls from 0 to 1, as
            :func:`~dgreid.evaluation.observations.precision_recall.interpolated_precision` gives them.
        path: the PNG to write.
    """
    figure, axes = _figure_above_its_legend(curves)
    labels = wrapped(list(curves), LEGEND_CHARACTERS)
    for precisions, name, look in zip(curves.values(), labels, line_looks(len(curves)), strict=True):
        recalls = [100 * level / (len(precisions) - 1) for level in range(len(precisions))]
        axes.plot(recalls, _percent(precisions), label=name, linewidth=1.6, **look)
    axes.set(xlabel="recall (%)", ylabel="interpolated precision, mean over queries (%)", xlim=(0, 100), ylim=(0, 102))
    figure.legend(loc="outside lower center", ncols=_columns(curves), frameon=False, fontsize=9)
    return save(figure, path)


def _figure_above_its_legend(names: Mapping[str, Any]) -> tuple[Figure, Axes]:
    labels = wrapped(list(names), LEGEND_CHARACTERS)
    figure = new_figure(7, 4.7 + 0.19 * legend_lines(labels, _columns(names)))
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes


def _columns(names: Mapping[str, Any]) -> int:
    return min(2, legend_columns(wrapped(list(names), LEGEND_CHARACTERS), LEGEND_CHARACTERS))


def _percent(shares: Shares) -> list[float]:
    return [100 * float(share) for share in shares]


def _curves(rows: Sequence[Mapping[str, str]], names: Sequence[str], scale: float = 1.0) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for name in names:
        points = [(int(row["step"]), scale * float(row[name])) for row in rows if row.get(name)]
        finite = [(step, value) for step, value in points if math.isfinite(value)]
        if finite:
            curves[name] = ([step for step, _ in finite], [value for _, value in finite])
    return curves
