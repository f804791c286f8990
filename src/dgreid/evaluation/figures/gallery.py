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

CORRECT, WRONG, IGNORED, QUERY = "#2ca02c", "#d62728", "#767676", "#000000"
LEGEND = {
    "\N{CHECK MARK} same identity": CORRECT,
    "\N{BALLOT X} another identity": WRONG,
    "ignored: same identity and camera": IGNORED,
}
FADED = 0.4
# Inches: an image, the gaps beside it and beside the query, the texts above and below it, the edge, the legend.
IMAGE_WIDTH, IMAGE_HEIGHT, GAP, QUERY_GAP, TEXT_GAP = 0.85, 1.7, 0.14, 0.4, 0.07
TITLE_HEIGHT, LABEL_HEIGHT, MARGIN, LEGEND_HEIGHT, LEGEND_WIDTH = 0.46, 0.6, 0.15, 0.38, 6.2


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
    figure = new_figure(width, MARGIN + row_height * len(queries) + LEGEND_HEIGHT, layout="none")
    sheet = _sheet(figure)
    for row, query in enumerate(queries):
        top = MARGIN + row * row_height + TITLE_HEIGHT
        title = f"{query.title}\nAP {100 * query.average_precision:.1f} %"
        _show(sheet, (MARGIN, top), read(query.query.path), QUERY, title, image_label(query.query))
        _show_list(sheet, query, read, top)
    _explain(figure)
    return save(figure, path)


def _sheet(figure: Figure) -> Axes:
    """One drawing area in inches from the upper left corner: axes for each image would take most of the time."""
    width, height = figure.get_size_inches()
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    sheet.axis("off")
    return sheet


def _show_list(sheet: Axes, query: RankedQuery, read: Callable[[Path], NDArray[Any]], top: float) -> None:
    rank = 0
    for column, (record, correct, score, ignored) in enumerate(
        zip(query.matches, query.correct, query.scores, query.ignored, strict=True), start=1
    ):
        rank += not ignored
        mark, colour = ("\N{CHECK MARK}", CORRECT) if correct else ("\N{BALLOT X}", WRONG)
        title, colour = ("ignored", IGNORED) if ignored else (f"{rank} {mark}", colour)
        corner = MARGIN + column * (IMAGE_WIDTH + GAP) + QUERY_GAP, top
        label = f"{image_label(record)}\n{score:.3f}"
        _show(sheet, corner, read(record.path), colour, title, label, faded=ignored)


def _show(
    sheet: Axes, corner: tuple[float, float], pixels: NDArray[Any], colour: str, title: str, label: str,
    faded: bool = False,
) -> None:  # fmt: skip
    """An image in its frame, a title in the frame's colour above it and a label below."""
    from matplotlib.patches import Rectangle

    left, top = corner
    middle, bottom = left + IMAGE_WIDTH / 2, top + IMAGE_HEIGHT
    sheet.imshow(pixels, extent=(left, left + IMAGE_WIDTH, bottom, top), aspect="auto", alpha=FADED if faded else 1.0)
    sheet.add_patch(Rectangle(corner, IMAGE_WIDTH, IMAGE_HEIGHT, fill=False, edgecolor=colour, linewidth=4))
    sheet.text(middle, top - TEXT_GAP, title, ha="center", va="bottom", fontsize=9, color=colour)
    sheet.text(middle, bottom + TEXT_GAP, label, ha="center", va="top", fontsize=8)


def _explain(figure: Figure) -> None:
    from matplotlib.patches import Patch

    keys = [Patch(facecolor="none", edgecolor=colour, linewidth=2.5, label=text) for text, colour in LEGEND.items()]
    figure.legend(
        handles=keys, loc="lower left", bbox_to_anchor=(0, 0), ncols=len(keys), frameon=False, fontsize=9,
        handlelength=1.0, handleheight=1.0,
    )  # fmt: skip
