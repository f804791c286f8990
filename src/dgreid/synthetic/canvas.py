"""The one shape that everything is drawn with: a shaded tube of varying width.

Only sums, products, quotients, square roots and comparisons of float32 are used, which IEEE 754 fixes to the last bit:
the pixels are the same on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dgreid.synthetic.paint import Paint, Place, Plane


class Point(NamedTuple):
    """A place in the picture, in body heights: x to the right, y upwards from the feet."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Tube:
    """A limb, a trunk, a bag: a line with a width.

    Attributes:
        start: upper end.
        end: lower end.
        widths: half widths in body heights, at equal distances from start to end.
        flat: straight ends instead of round ones.
        opacity: 1 covers, less lets the background through.
        turn: shifts a pattern sideways, as a turning body does, in body heights.
        roundness: darkening towards the edges; 0 for flat things.
    """

    start: Point
    end: Point
    widths: tuple[float, ...]
    paint: Paint
    flat: bool = False
    opacity: float = 1.0
    turn: float = 0.0
    roundness: float = 0.3


def _profile(widths: tuple[float, ...], share: Plane) -> Plane:
    """Piecewise linear width at each share 0..1 of the length."""
    segments = len(widths) - 1
    radius = np.full_like(share, widths[0])
    slope = 0.0
    for segment in range(segments):
        steeper = (widths[segment + 1] - widths[segment]) * segments - slope
        if steeper != 0.0:
            radius += steeper * np.maximum(share - segment / segments, 0.0)
            slope += steeper
    return radius


class Canvas:
    """A picture under construction.

    Args:
        pixels: (3, H, W) float32 in 0..1; drawn on in place.
        scale: pixels per body height.
        feet: column and row of the ground point between the feet.
        light: where light comes from, as (to the right, upwards), each about -0.3..0.3.
    """

    def __init__(self, pixels: Plane, scale: float, feet: tuple[float, float], light: tuple[float, float]) -> None:
        self.pixels = pixels
        self.scale = scale
        self.feet = feet
        self.light = light

    def _pixel(self, point: Point) -> tuple[float, float]:
        return self.feet[0] + point.x * self.scale, self.feet[1] - point.y * self.scale

    def _window(self, tube: Tube, start: tuple[float, float], end: tuple[float, float]) -> tuple[slice, slice]:
        """Rows and columns that the tube can touch."""
        reach = max(tube.widths) * self.scale + 1.0
        _, height, width = self.pixels.shape
        top, bottom = (math.floor(min(start[1], end[1]) - reach), math.ceil(max(start[1], end[1]) + reach))
        left, right = (math.floor(min(start[0], end[0]) - reach), math.ceil(max(start[0], end[0]) + reach))
        return slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))

    def draw(self, tube: Tube) -> None:
        """Draws the tube over what is there, with soft edges one pixel wide."""
        start, end = self._pixel(tube.start), self._pixel(tube.end)
        rows, columns = self._window(tube, start, end)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        length = math.sqrt((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2)
        dx, dy = ((end[0] - start[0]) / length, (end[1] - start[1]) / length) if length > 0.0 else (0.0, 1.0)
        x = (np.arange(columns.start, columns.stop, dtype=np.float32) + (0.5 - start[0]))[None, :]
        y = (np.arange(rows.start, rows.stop, dtype=np.float32) + (0.5 - start[1]))[:, None]
        along, across = x * dx + y * dy, y * dx - x * dy
        inside = np.clip(along, 0.0, length)
        radius = _profile(tuple(width * self.scale for width in tube.widths), inside / max(length, 1e-3))
        if tube.flat:
            distance = np.maximum(np.abs(across) - radius, np.abs(along - 0.5 * length) - 0.5 * length)
        else:
            over = along - inside
            distance = np.sqrt(across * across + over * over) - radius
        cover = np.clip(0.5 - distance, 0.0, tube.opacity)
        side = np.clip(across / np.maximum(radius, 0.5), -1.0, 1.0)
        shade = 1.0 + side * (-dy * self.light[0] - dx * self.light[1]) - tube.roundness * (side * side)
        region = self.pixels[:, rows, columns]
        place = Place(along / self.scale, across / self.scale + tube.turn, length / self.scale, 1.0 / self.scale)
        region += cover * (tube.paint.at(place) * shade - region)
