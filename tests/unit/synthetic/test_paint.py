import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.synthetic.paint import Colour, Paint, Place, band, checks, dots, halves, pinstripes, rings


def place(count=400, length=0.4):
    along = np.linspace(0.0, length, count, endpoint=False, dtype=np.float32)[:, None]
    across = np.linspace(-0.1, 0.1, count // 2, endpoint=False, dtype=np.float32)[None, :]
    return Place(along, across, length, length / count)


def slow_stripe(position, period, pixel):
    """Second colour where the distance to the middle of the dark half exceeds a quarter period."""
    offset = position % period
    return min(1.0, max(0.0, (abs(offset - period / 2) - period / 4) / pixel + 0.5))


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.floats(0.02, 0.2))
def test_stripes_against_the_definition(period):
    points = place(60)
    expected = [slow_stripe(float(y), period, points.pixel) for y in points.along[:, 0]]
    np.testing.assert_allclose(rings(points, period)[:, 0], expected, atol=2e-3)
    expected = [slow_stripe(float(x), period, points.pixel) for x in points.across[0]]
    np.testing.assert_allclose(pinstripes(points, period)[0], expected, atol=2e-3)


def test_checks_and_dots_combine_both_stripes():
    points = place()
    across, along = pinstripes(points, 0.05), rings(points, 0.05)
    np.testing.assert_allclose(checks(points, 0.05), (across + along) / 2, atol=1e-6)
    np.testing.assert_allclose(dots(points, 0.05), across * along, atol=1e-6)
    assert dots(points, 0.05).mean() == pytest.approx(0.25, abs=0.01)


def test_halves_and_band_cover_their_share():
    points = place()
    assert halves(points, 0.1).mean() == pytest.approx(0.5, abs=0.01)
    assert halves(points, 0.1)[-1] == 1.0
    assert band(points, 0.1).mean() == pytest.approx(0.32, abs=0.01)


def test_a_paint_mixes_its_colours():
    points = place()
    cloth = Paint(Colour(0.2, 0.4, 0.6), Colour(1.0, 0.0, 0.5), halves)
    colours = cloth.at(points)
    np.testing.assert_allclose(colours[:, 0, 0], [0.2, 0.4, 0.6], atol=1e-6)
    np.testing.assert_allclose(colours[:, -1, 0], [1.0, 0.0, 0.5], atol=1e-6)


def test_a_plain_paint_is_one_colour():
    assert Paint(Colour(0.2, 0.4, 0.6)).at(place()).shape == (3, 1, 1)


def test_colours_stay_in_range_and_mix():
    assert Colour(0.5, 0.9, 0.0).scaled(2.0) == (1.0, 1.0, 0.0)
    assert Colour(0.0, 0.5, 1.0).mixed(Colour(1.0, 0.5, 0.0), 0.25) == (0.25, 0.5, 0.75)
