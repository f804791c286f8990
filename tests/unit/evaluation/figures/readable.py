"""Whether everything written on a picture can be read."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

SLACK = 0.5  # pixels: a box that ends where another begins does not touch it


def drawn_texts(figure: Figure) -> list[Text]:
    """The texts that are drawn, by their position on the list of all."""
    drawn: dict[int, Text] = {}
    draw = Text.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", lambda text, *args: (drawn.update({id(text): text}), draw(text, *args)))
        FigureCanvasAgg(figure).draw()
    return [text for text in drawn.values() if text.get_visible() and text.get_text().strip()]


def assert_readable(figure: Figure) -> None:
    """No text leaves the canvas, lies on another or on what is drawn."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn_texts(figure)]
    assert len(boxes) >= 4
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
        for axes in figure.axes:
            assert not axes.get_window_extent().padded(-SLACK).overlaps(box), text
    for (one, left), (other, right) in combinations(boxes, 2):
        assert not left.overlaps(right), (one, other)
    for left, right in combinations([axes.get_window_extent().padded(-SLACK) for axes in figure.axes], 2):
        assert not left.overlaps(right)
