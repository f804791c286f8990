"""What stands behind the people: one wide picture per camera, of which every shot shows a part."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dgreid.synthetic.canvas import Canvas, Point, Tube
from dgreid.synthetic.draws import around, between, chance
from dgreid.synthetic.ground import ball, box, fill, pavement, side_by_side
from dgreid.synthetic.paint import Colour, Paint, Plane
from dgreid.synthetic.wardrobe import DYES, dye

WIDTHS = 6  # a scene is as wide as this many pictures
# Draws on a canvas of the given length in heights, which is zeroed.
Scene = Callable[[Canvas, np.random.Generator, float], None]


def draw_scene(rng: np.random.Generator, kind: str, height: int, width: int) -> Plane:
    """The whole scene of a camera.

    Args:
        rng: decides on everything but the kind.
        kind: a key of ``SCENES``.
        height: height of a picture in pixels; the scene is as high.
        width: width of a picture in pixels; the scene is ``WIDTHS`` times as wide.

    Returns:
        (3, height, WIDTHS * width) float32 in 0..1.
    """
    pixels = np.zeros((3, height, WIDTHS * width), dtype=np.float32)
    canvas = Canvas(pixels, float(height), (0.0, float(height)), (0.0, 0.0))
    SCENES[kind](canvas, rng, WIDTHS * width / height)
    return pixels


def _square(canvas: Canvas, rng: np.random.Generator, length: float) -> None:
    """A sunny square: house fronts with windows and awnings, light slabs."""
    horizon = between(rng, 0.30, 0.42)
    fill(canvas, horizon, 1.0, Colour(0.80, 0.82, 0.84), Colour(0.62, 0.76, 0.90))

    def house(left: float, width: float) -> None:
        wall = DYES["beige"].mixed(dye(rng, 1.0), 0.3).scaled(between(rng, 0.85, 1.2))
        box(canvas, left, horizon, left + width, between(rng, 0.8, 1.05), wall)
        pane = Colour(0.35, 0.42, 0.50).scaled(between(rng, 0.7, 1.4))
        for floor in (0.62, 0.84):
            x = left + 0.05
            while x + 0.10 < left + width:
                box(canvas, x, floor, x + 0.08, floor + 0.13, pane)
                x += 0.16
        if chance(rng, 0.6):
            box(canvas, left + 0.03, horizon + 0.14, left + width - 0.03, horizon + 0.22, dye(rng, 1.0))

    side_by_side(canvas, rng, 0.4, 0.8, house)
    pavement(canvas, rng, horizon, Colour(0.76, 0.72, 0.66).scaled(between(rng, 0.85, 1.1)), 0.15)


def _hall(canvas: Canvas, rng: np.random.Generator, length: float) -> None:
    """A station hall: tiled wall, posters, pillars, polished floor with a yellow line."""
    horizon = between(rng, 0.22, 0.36)
    wall = Colour(0.66, 0.69, 0.72).scaled(between(rng, 0.8, 1.15))
    fill(canvas, horizon, 1.0, wall, wall.scaled(0.8))
    y = horizon
    while y < 1.0:
        box(canvas, 0.0, y, length, y + 0.008, wall.scaled(0.85))
        y += 0.09

    def poster(left: float, width: float) -> None:
        if chance(rng, 0.45):
            box(canvas, left + 0.05, horizon + 0.15, left + width - 0.05, horizon + 0.5, dye(rng, 1.0))
            box(canvas, left + 0.09, horizon + 0.30, left + width - 0.09, horizon + 0.42, dye(rng, 1.0))
        if chance(rng, 0.4):
            box(canvas, left, horizon - 0.02, left + 0.09, 1.0, wall.scaled(1.15))

    side_by_side(canvas, rng, 0.3, 0.55, poster)
    pavement(canvas, rng, horizon, Colour(0.47, 0.48, 0.50).scaled(between(rng, 0.8, 1.2)), 0.08)
    box(canvas, 0.0, 0.05, length, 0.09, Colour(0.85, 0.72, 0.15))


def _lawn(canvas: Canvas, rng: np.random.Generator, length: float) -> None:
    """A campus: brick building far away, trees, bushes, grass and a gravel path."""
    horizon = between(rng, 0.42, 0.58)
    fill(canvas, horizon, 1.0, Colour(0.72, 0.76, 0.78), Colour(0.66, 0.74, 0.82))
    brick = Colour(0.55, 0.33, 0.26).scaled(between(rng, 0.8, 1.2))

    def wing(left: float, width: float) -> None:
        box(canvas, left, horizon, left + width * 0.8, between(rng, 0.7, 0.98), brick.scaled(between(rng, 0.9, 1.1)))
        for column in range(int(width / 0.14)):
            box(canvas, left + 0.04 + 0.14 * column, 0.66, left + 0.09 + 0.14 * column, 0.76, Colour(0.8, 0.8, 0.75))

    side_by_side(canvas, rng, 0.6, 1.2, wing)
    leaf = Colour(0.24, 0.40, 0.16).scaled(between(rng, 0.8, 1.3))
    fill(canvas, 0.0, horizon, leaf.mixed(Colour(0.5, 0.55, 0.3), 0.4), leaf.scaled(1.2))
    fill(canvas, 0.0, between(rng, 0.10, 0.24), Colour(0.60, 0.56, 0.50), Colour(0.66, 0.62, 0.56))

    def tree(left: float, width: float) -> None:
        if chance(rng, 0.6):
            box(canvas, left + 0.14, horizon - 0.08, left + 0.18, 0.8, Colour(0.32, 0.24, 0.17))
            for _ in range(4):
                spot = leaf.scaled(between(rng, 0.7, 1.3))
                ball(canvas, left + around(rng, 0.16, 0.14), around(rng, 0.85, 0.14), between(rng, 0.07, 0.13), spot)
        else:
            ball(canvas, left + 0.1, horizon - 0.03, between(rng, 0.05, 0.1), leaf.scaled(between(rng, 0.7, 1.1)))

    side_by_side(canvas, rng, 0.3, 0.6, tree)


def _street(canvas: Canvas, rng: np.random.Generator, length: float) -> None:
    """A street at night: dark fronts, lit windows and signs, wet asphalt that mirrors the lamps."""
    horizon = between(rng, 0.28, 0.45)
    fill(canvas, horizon, 1.0, Colour(0.28, 0.28, 0.35), Colour(0.14, 0.15, 0.24))

    def front(left: float, width: float) -> None:
        wall = Colour(0.30, 0.28, 0.30).scaled(between(rng, 0.6, 1.5))
        box(canvas, left, horizon, left + width, 1.0, wall)
        for column in range(int(width / 0.15)):
            for floor in (0.55, 0.75, 0.93):
                lit = Colour(0.95, 0.80, 0.48) if chance(rng, 0.25) else wall.scaled(0.7)
                box(canvas, left + 0.03 + 0.15 * column, floor, left + 0.11 + 0.15 * column, floor + 0.1, lit)
        if chance(rng, 0.5):
            box(canvas, left + 0.04, horizon + 0.13, left + width - 0.06, horizon + 0.2, dye(rng, 1.0).scaled(1.25))

    side_by_side(canvas, rng, 0.35, 0.8, front)
    pavement(canvas, rng, horizon, Colour(0.34, 0.34, 0.37).scaled(between(rng, 0.8, 1.2)), 0.12)

    def lamp(left: float, width: float) -> None:
        box(canvas, left, horizon, left + 0.025, 1.0, Colour(0.1, 0.1, 0.1))
        glow = Paint(Colour(0.9, 0.7, 0.4))
        canvas.draw(Tube(Point(left, horizon - 0.03), Point(left, 0.05), (0.06, 0.03), glow, opacity=0.3))

    side_by_side(canvas, rng, 0.6, 1.2, lamp)


SCENES: Mapping[str, Scene] = {"square": _square, "hall": _hall, "lawn": _lawn, "street": _street}
