"""Whether everything written on a picture can be read."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import BboxBase

SLACK = 0.5  # pixels: a box that ends where another begins does not touch it


def drawn_texts(figure: Figure) -> list[Text]:
    """The texts that are drawn, by their position on the list of all."""
    drawn: dict[int, Text] = {}
    draw = Text.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", lambda text, *args: (drawn.update({id(text): text}), draw(text, *args)))
        FigureCanvasAgg(figure).draw()
    return [text for text in drawn.values() if text.get_visible() and text.get_text().strip()]


def drawn_areas(figure: Figure) -> list[BboxBase]:
    """What is drawn in: axes with a frame, and the shapes on those without."""
    framed = [axes for axes in figure.axes if axes.axison]
    shapes = [shape for axes in figure.axes if not axes.axison for shape in axes.patches]
    return [area.get_window_extent().padded(-SLACK) for area in (*framed, *shapes)]


def assert_readable(figure: Figure) -> None:
    """No text leaves the canvas, lies on another or on what is drawn."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn_texts(figure)]
    assert len(boxes) >= 4
    drawings = drawn_areas(figure)
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
        for other in drawings:
            assert not other.overlaps(box), text
    for (one, left), (other, right) in combinations(boxes, 2):
        assert not left.overlaps(right), (one, other)
    for left, right in combinations(drawings, 2):
        assert not left.overlaps(right)
