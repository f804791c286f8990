import math

import numpy as np
import pytest

from dgreid.synthetic.canvas import Canvas, Point, Tube
from dgreid.synthetic.paint import Colour, Paint, rings

WHITE = Paint(Colour(1.0, 1.0, 1.0))


def blank(height=40, width=30):
    return np.zeros((3, height, width), dtype=np.float32)


def slow_cover(tube, height, width, scale, feet):
    """Coverage of each pixel from the definition: a signed distance to a line with a width, one pixel soft."""
    cover = np.zeros((height, width))
    ax, ay = feet[0] + tube.start.x * scale, feet[1] - tube.start.y * scale
    bx, by = feet[0] + tube.end.x * scale, feet[1] - tube.end.y * scale
    length = math.hypot(bx - ax, by - ay)
    knots = np.linspace(0.0, 1.0, len(tube.widths))
    for row in range(height):
        for column in range(width):
            px, py = column + 0.5 - ax, row + 0.5 - ay
            along = (px * (bx - ax) + py * (by - ay)) / length
            across = abs(py * (bx - ax) - px * (by - ay)) / length
            inside = min(max(along, 0.0), length)
            radius = scale * np.interp(inside / length, knots, tube.widths)
            if tube.flat:
                distance = max(across - radius, -along, along - length)
            else:
                distance = math.hypot(across, along - inside) - radius
            cover[row, column] = min(max(0.5 - distance, 0.0), tube.opacity)
    return cover


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("end", [Point(0.1, 0.2), Point(-0.25, 0.55), Point(0.0, 1.1)])
def test_cover_against_the_definition(flat, end):
    tube = Tube(Point(0.05, 0.8), end, (0.1, 0.2, 0.05), WHITE, flat=flat, opacity=0.9, roundness=0.0)
    pixels = blank()
    Canvas(pixels, 35.0, (14.0, 38.0), (0.0, 0.0)).draw(tube)
    expected = slow_cover(tube, 40, 30, 35.0, (14.0, 38.0))
    assert expected.max() == pytest.approx(0.9)
    np.testing.assert_allclose(pixels[1], expected, atol=1e-4)


def test_a_tube_without_length_is_a_disc():
    pixels = blank()
    Canvas(pixels, 40.0, (15.0, 40.0), (0.0, 0.0)).draw(
        Tube(Point(0, 0.5), Point(0, 0.5), (0.2,) * 2, WHITE, roundness=0.0)
    )
    assert pixels[0].sum() == pytest.approx(math.pi * 8.0**2, rel=0.01)
    assert pixels[0, 20, 15] == 1.0
    assert pixels[0, 13, 8] == 0.0  # a square's corner


@pytest.mark.parametrize("centre", [Point(5.0, 0.5), Point(-5.0, 0.5), Point(0.0, -5.0), Point(0.0, 9.0)])
def test_outside_the_picture_nothing_is_drawn(centre):
    pixels = blank()
    Canvas(pixels, 40.0, (15.0, 40.0), (0.0, 0.0)).draw(Tube(centre, centre, (0.2, 0.2), WHITE))
    assert not pixels.any()


def test_light_from_the_right_brightens_the_right_of_an_upright_tube():
    pixels = blank()
    tube = Tube(Point(0.0, 0.9), Point(0.0, 0.1), (0.2, 0.2), Paint(Colour(0.5, 0.5, 0.5)), roundness=0.0)
    Canvas(pixels, 40.0, (15.0, 40.0), (0.2, 0.0)).draw(tube)
    row = pixels[0, 20]
    assert row[20] > 0.5 > row[9]
    assert row[20] - 0.5 == pytest.approx(0.5 - row[9], abs=1e-5)


def test_light_from_above_brightens_the_upper_side_of_a_level_tube():
    pixels = blank()
    tube = Tube(Point(-0.3, 0.5), Point(0.3, 0.5), (0.2, 0.2), Paint(Colour(0.5, 0.5, 0.5)), roundness=0.0)
    Canvas(pixels, 40.0, (15.0, 40.0), (0.0, 0.2)).draw(tube)
    assert pixels[0, 15, 15] > 0.5 > pixels[0, 25, 15]


def test_round_things_are_darker_at_the_edge():
    pixels = blank()
    tube = Tube(Point(0.0, 0.9), Point(0.0, 0.1), (0.2, 0.2), WHITE, roundness=0.4)
    Canvas(pixels, 40.0, (15.0, 40.0), (0.0, 0.0)).draw(tube)
    assert pixels[0, 20, 15] == pytest.approx(1.0, abs=0.01)
    assert pixels[0, 20, 21] == pytest.approx(1.0 - 0.4 * (6.5 / 8.0) ** 2, abs=1e-4)


def test_patterns_follow_the_tube():
    pixels = blank()
    cloth = Paint(Colour(0.0, 0.0, 0.0), Colour(1.0, 0.0, 0.0), rings, 0.2)
    Canvas(pixels, 40.0, (15.0, 40.0), (0.0, 0.0)).draw(
        Tube(Point(0.0, 0.9), Point(0.0, 0.1), (0.2, 0.2), cloth, flat=True, roundness=0.0)
    )
    column = pixels[0, 4:36, 15]
    np.testing.assert_allclose(column[:8], column[8:16], atol=1e-4)
    assert column[:8].mean() == pytest.approx(0.5, abs=0.01)
    assert not pixels[1].any()
