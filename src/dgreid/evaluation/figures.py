"""Pictures of a run as PNG files. matplotlib is imported when one is drawn, and never opens a window."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.ranked_lists import RankedQuery
from dgreid.files import write_atomically
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 120
CORRECT, WRONG, QUERY = "#2ca02c", "#d62728", "#333333"
IMAGE_WIDTH, IMAGE_HEIGHT, TITLE_HEIGHT, LABEL_HEIGHT, GAP = 1.0, 2.0, 0.5, 0.45, 0.12  # inches
LEGEND_COLUMN_CHARACTERS = 60

Curve = tuple[list[int], list[float]]


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
    figure = _figure(9, 0.6 + 3.2 * len(panels))
    for axes, (label, curves) in zip(
        figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0], panels.items(), strict=True
    ):
        for name, (steps, values) in curves.items():
            few = len(steps) <= 30
            axes.plot(steps, values, label=name, marker="o" if few else None, markersize=4, linewidth=1.3)
        axes.set(xlabel="step", ylabel=label)
        axes.label_outer()
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, frameon=False, fontsize=9)
    return _save(figure, path)


def cmc_curves(curves: Mapping[str, Sequence[float] | NDArray[Any]], path: Path) -> Path:
    """Cumulative matching characteristic: the share of queries with a match up to each rank.

    Args:
        curves: a line per name (a domain, a state of the net): shares 0..1 at rank 1, 2, ...
        path: the PNG to write.
    """
    figure = _figure(7, 4.6 + 0.22 * len(curves))
    axes = figure.subplots()
    for name, shares in curves.items():
        axes.plot(range(1, len(shares) + 1), [100 * share for share in shares], label=name, linewidth=1.6)
    longest = max(len(shares) for shares in curves.values())
    axes.set(xlabel="rank", ylabel="queries with a match (%)", xlim=(0.5, longest + 0.5), ylim=(0, 102))
    axes.set_xticks([rank for rank in (1, 5, 10, 20, 30, 40, 50) if rank <= longest])
    axes.grid(alpha=0.3)
    columns = 2 if max(map(len, curves)) * 2 <= LEGEND_COLUMN_CHARACTERS else 1
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    return _save(figure, path)


def ranked_gallery(queries: Sequence[RankedQuery], read: Callable[[Path], NDArray[Any]], path: Path) -> Path:
    """A row for each query: its image, then its ranked list, green where the identity is right and red where not.

    Args:
        queries: at least one query; lists may differ in length.
        read: from an image file to its pixels, (H, W, 3) uint8 RGB. Images are shown at one size.
        path: the PNG to write.
    """
    columns = max(len(query.matches) for query in queries)
    row_height = TITLE_HEIGHT + IMAGE_HEIGHT + LABEL_HEIGHT
    height = row_height * len(queries)
    figure = _figure((columns + 1) * (IMAGE_WIDTH + GAP) + 5 * GAP, height, layout="none")
    grid = figure.add_gridspec(
        len(queries), columns + 2, width_ratios=[1, 0.25, *[1] * columns], left=0.02, right=0.98, wspace=GAP,
        hspace=row_height / IMAGE_HEIGHT - 1, top=1 - TITLE_HEIGHT / height, bottom=LABEL_HEIGHT / height,
    )  # fmt: skip
    for row, query in enumerate(queries):
        cell = figure.add_subplot(grid[row, 0])
        _show(cell, read(query.query.path), QUERY, _label(query.query))
        cell.set_title(f"{query.title}\nAP {100 * query.average_precision:.1f} %", fontsize=9, pad=5)
        for column, (record, correct) in enumerate(zip(query.matches, query.correct, strict=True)):
            cell = figure.add_subplot(grid[row, column + 2])
            mark, colour = ("\N{CHECK MARK}", CORRECT) if correct else ("\N{BALLOT X}", WRONG)
            _show(cell, read(record.path), colour, _label(record))
            cell.set_title(f"{column + 1} {mark}", fontsize=9, pad=5, color=colour)
    return _save(figure, path)


def _curves(rows: Sequence[Mapping[str, str]], names: Sequence[str], scale: float = 1.0) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for name in names:
        points = [(int(row["step"]), scale * float(row[name])) for row in rows if row.get(name)]
        finite = [(step, value) for step, value in points if math.isfinite(value)]
        if finite:
            curves[name] = ([step for step, _ in finite], [value for _, value in finite])
    return curves


def _label(record: ReIDRecord) -> str:
    camera = "?" if record.camera == UNKNOWN_CAMERA else str(record.camera)
    return f"id {record.identity}\ncamera {camera}"


def _show(axes: Axes, pixels: NDArray[Any], colour: str, label: str) -> None:
    axes.imshow(pixels, aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(label, fontsize=8, labelpad=5)
    for spine in axes.spines.values():
        spine.set(edgecolor=colour, linewidth=4)


def _figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    from matplotlib.figure import Figure  # a figure of its own, without pyplot's global state and windows

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout)


def _save(figure: Figure, path: Path) -> Path:
    # Without the version in its metadata a picture changes only when what it shows does.
    return write_atomically(path, lambda temporary: figure.savefig(temporary, metadata={"Software": None}))
