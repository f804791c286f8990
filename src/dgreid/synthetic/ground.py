"""Rectangles, balls, strips and pavements that scenes are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dgreid.synthetic.canvas import Canvas, Point, Tube
from dgreid.synthetic.draws import between
from dgreid.synthetic.paint import Colour, Paint


def fill(canvas: Canvas, bottom: float, top: float, low: Colour, high: Colour) -> None:
    """A horizontal strip that changes from one colour to another."""
    height = canvas.pixels.shape[1]
    rows = slice(round(height * (1.0 - top)), round(height * (1.0 - bottom)))
    count = rows.stop - rows.start
    share = (np.arange(count, dtype=np.float32) + 0.5)[:, None] / max(count, 1)
    for channel in range(3):
        canvas.pixels[channel, rows] = high[channel] + share * (low[channel] - high[channel])


def box(canvas: Canvas, left: float, bottom: float, right: float, top: float, paint: Paint | Colour) -> None:
    """An upright rectangle."""
    middle = 0.5 * (left + right)
    cloth = Paint(paint) if isinstance(paint, Colour) else paint
    half = 0.5 * (right - left)
    canvas.draw(Tube(Point(middle, top), Point(middle, bottom), (half, half), cloth, flat=True, roundness=0.0))


def ball(canvas: Canvas, x: float, y: float, radius: float, colour: Colour) -> None:
    """A round thing."""
    canvas.draw(Tube(Point(x, y), Point(x, y), (radius, radius), Paint(colour), roundness=0.25))


def pavement(canvas: Canvas, rng: np.random.Generator, top: float, colour: Colour, joints: float) -> None:
    """Ground with rows of slabs that come closer together towards the horizon."""
    fill(canvas, 0.0, top, colour, colour.scaled(0.85))
    line, length = colour.scaled(1.0 - joints), canvas.pixels.shape[2] / canvas.scale
    y, step = 0.02, between(rng, 0.10, 0.16)
    while y < top:
        box(canvas, 0.0, y, length, y + 0.006, line)
        y, step = y + step, 0.75 * step + 0.006
    x = 0.0
    while x < length:
        slant = 0.12 * (x - 0.5 * length) / length
        canvas.draw(Tube(Point(x, top), Point(x + slant, 0.0), (0.002, 0.005), Paint(line), roundness=0.0))
        x += 0.22


def side_by_side(
    canvas: Canvas, rng: np.random.Generator, low: float, high: float, draw: Callable[[float, float], None]
) -> None:
    """Calls ``draw(left, width)`` for things side by side over the whole scene."""
    x, length = -0.3 * rng.random(), canvas.pixels.shape[2] / canvas.scale
    while x < length:
        width = between(rng, low, high)
        draw(x, width)
        x += width
