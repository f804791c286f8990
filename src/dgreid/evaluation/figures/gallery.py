"""Ranked lists as rows of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from dgreid.evaluation.figures.canvas import image_label, new_figure, save
from dgreid.evaluation.ranked_lists import RankedQuery

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CORRECT, WRONG, IGNORED, QUERY = "#2ca02c", "#d62728", "#999999", "#000000"
LEGEND = {
    "\N{CHECK MARK} same identity": CORRECT,
    "\N{BALLOT X} another identity": WRONG,
    "ignored: same identity and camera": IGNORED,
}
FADED = 0.4
# Inches: an image, the gaps beside it and beside the query, the texts above and below it, the edge, the legend.
IMAGE_WIDTH, IMAGE_HEIGHT, GAP, QUERY_GAP = 0.85, 1.7, 0.14, 0.4
TITLE_HEIGHT, LABEL_HEIGHT, MARGIN, LEGEND_HEIGHT, LEGEND_WIDTH = 0.46, 0.6, 0.15, 0.3, 6.2


def ranked_gallery(queries: Sequence[RankedQuery], read: Callable[[Path], NDArray[Any]], path: Path) -> Path:
    """A row for each query: its image, then its ranked list with ranks, identities, cameras and similarities.

    Right is green, wrong is red; what the camera rule ignores is grey, faded and without a rank.

    Args:
        queries: at least one query; lists may differ in length.
        read: from an image file to its pixels, (H, W, 3) uint8 RGB. Images are shown at one size.
        path: the PNG to write.
    """
    columns = max(len(query.matches) for query in queries)
    row_height = TITLE_HEIGHT + IMAGE_HEIGHT + LABEL_HEIGHT
    width = max(LEGEND_WIDTH, 2 * MARGIN + (columns + 1) * (IMAGE_WIDTH + GAP) + QUERY_GAP)
    figure = new_figure(width, row_height * len(queries) + LEGEND_HEIGHT + MARGIN, layout="none")
    for row, query in enumerate(queries):
        top = MARGIN + row * row_height + TITLE_HEIGHT
        cell = _cell(figure, MARGIN, top)
        _show(cell, read(query.query.path), QUERY, image_label(query.query))
        cell.set_title(f"{query.title}\nAP {100 * query.average_precision:.1f} %", fontsize=9, pad=5)
        _show_list(figure, query, read, top)
    _explain(figure)
    return save(figure, path)


def _show_list(figure: Figure, query: RankedQuery, read: Callable[[Path], NDArray[Any]], top: float) -> None:
    rank = 0
    for column, (record, correct, score, ignored) in enumerate(
        zip(query.matches, query.correct, query.scores, query.ignored, strict=True), start=1
    ):
        cell = _cell(figure, MARGIN + column * (IMAGE_WIDTH + GAP) + QUERY_GAP, top)
        rank += not ignored
        mark, colour = ("\N{CHECK MARK}", CORRECT) if correct else ("\N{BALLOT X}", WRONG)
        title, colour = ("ignored", IGNORED) if ignored else (f"{rank} {mark}", colour)
        _show(cell, read(record.path), colour, f"{image_label(record)}\n{score:.3f}", faded=ignored)
        cell.set_title(title, fontsize=9, pad=5, color=colour)


def _cell(figure: Figure, left: float, top: float) -> Axes:
    """Axes of an image's size, in inches from the upper left corner: rows are alike whatever their lists hold."""
    width, height = figure.get_size_inches()
    bottom = height - top - IMAGE_HEIGHT
    return figure.add_axes((left / width, bottom / height, IMAGE_WIDTH / width, IMAGE_HEIGHT / height))


def _show(axes: Axes, pixels: NDArray[Any], colour: str, label: str, faded: bool = False) -> None:
    axes.imshow(pixels, aspect="auto", alpha=FADED if faded else 1.0)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(label, fontsize=8, labelpad=5)
    for spine in axes.spines.values():
        spine.set(edgecolor=colour, linewidth=4)


def _explain(figure: Figure) -> None:
    from matplotlib.patches import Patch

    keys = [Patch(facecolor="none", edgecolor=colour, linewidth=2.5, label=text) for text, colour in LEGEND.items()]
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=keys, loc="lower left", bbox_to_anchor=(0, 0.05 / height), ncols=len(keys), frameon=False, fontsize=9,
        handlelength=1.0, handleheight=1.0,
    )  # fmt: skip
