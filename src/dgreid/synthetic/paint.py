"""Colours and woven patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]  # float32 throughout


class Colour(NamedTuple):
    """Red, green and blue in 0..1."""

    red: float
    green: float
    blue: float

    def scaled(self, factor: float) -> Colour:
        """Darker (below 1) or lighter (above 1)."""
        return Colour(*(min(1.0, max(0.0, channel * factor)) for channel in self))

    def mixed(self, other: Colour, share: float) -> Colour:
        """This colour with a share of another one."""
        return Colour(*(a + (b - a) * share for a, b in zip(self, other, strict=True)))


class Place(NamedTuple):
    """Where points lie on a body part, all in body heights.

    Attributes:
        along: distance from the upper end.
        across: distance from the axis, shifted as the body turns.
        length: length of the part.
        pixel: size of a pixel, the width of a soft edge.
    """

    along: Plane
    across: Plane
    length: float
    pixel: float


# Share 0..1 of the second colour at each point; the number is the pattern's period in body heights.
Pattern = Callable[[Place, float], Plane]


def _stripes(position: Plane, period: float, pixel: float) -> Plane:
    """Stripes that cover half of each period."""
    cycles = position / period
    triangle = np.abs(cycles - np.floor(cycles) - 0.5)
    return np.clip((triangle - 0.25) * (period / pixel) + 0.5, 0.0, 1.0)


def rings(place: Place, period: float) -> Plane:
    """Stripes around the body part."""
    return _stripes(place.along, period, place.pixel)


def pinstripes(place: Place, period: float) -> Plane:
    """Stripes along the body part."""
    return _stripes(place.across, period, place.pixel)


def checks(place: Place, period: float) -> Plane:
    """Both stripes over each other, as in a lumberjack's shirt."""
    return 0.5 * (rings(place, period) + pinstripes(place, period))


def dots(place: Place, period: float) -> Plane:
    """Spots where both stripes meet."""
    return rings(place, period) * pinstripes(place, period)


def halves(place: Place, period: float) -> Plane:
    """The lower half in the second colour, whatever the period."""
    return np.clip((place.along - 0.5 * place.length) / place.pixel + 0.5, 0.0, 1.0)


def band(place: Place, period: float) -> Plane:
    """One broad ring across the chest, whatever the period."""
    return np.clip((0.16 * place.length - np.abs(place.along - 0.42 * place.length)) / place.pixel + 0.5, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Paint:
    """A cloth: its colour, and perhaps a pattern in a second one.

    Attributes:
        period: repeat of the pattern in body heights.
    """

    base: Colour
    accent: Colour | None = None
    pattern: Pattern | None = None
    period: float = 0.05

    def at(self, place: Place) -> Plane:
        """(3, h, w) colours of the points, or (3, 1, 1) where all are the same."""
        base = np.array(self.base, dtype=np.float32)[:, None, None]
        if self.pattern is None or self.accent is None:
            return base
        accent = np.array(self.accent, dtype=np.float32)[:, None, None]
        return base + self.pattern(place, self.period) * (accent - base)
