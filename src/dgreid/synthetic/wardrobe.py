"""Colours that clothes, skin and hair come in, and how a season dresses people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dgreid.synthetic.draws import around, between, chance, pick
from dgreid.synthetic.paint import Colour, Paint, Pattern, band, checks, dots, halves, pinstripes, rings

DYES: Mapping[str, Colour] = {
    "black": Colour(0.09, 0.09, 0.10),
    "charcoal": Colour(0.24, 0.24, 0.26),
    "grey": Colour(0.52, 0.52, 0.53),
    "white": Colour(0.92, 0.92, 0.90),
    "beige": Colour(0.80, 0.71, 0.56),
    "brown": Colour(0.42, 0.27, 0.16),
    "navy": Colour(0.12, 0.16, 0.34),
    "blue": Colour(0.17, 0.36, 0.72),
    "sky": Colour(0.53, 0.72, 0.90),
    "teal": Colour(0.10, 0.48, 0.50),
    "green": Colour(0.18, 0.50, 0.25),
    "olive": Colour(0.40, 0.41, 0.20),
    "yellow": Colour(0.92, 0.79, 0.22),
    "orange": Colour(0.91, 0.48, 0.15),
    "red": Colour(0.78, 0.14, 0.15),
    "maroon": Colour(0.43, 0.09, 0.15),
    "pink": Colour(0.93, 0.58, 0.68),
    "purple": Colour(0.44, 0.22, 0.55),
}
SKINS = (Colour(0.96, 0.80, 0.69), Colour(0.87, 0.67, 0.52), Colour(0.68, 0.47, 0.33), Colour(0.36, 0.23, 0.16))
HAIRS: Mapping[Colour, float] = {
    Colour(0.07, 0.06, 0.06): 5.0,
    Colour(0.24, 0.15, 0.09): 4.0,
    Colour(0.45, 0.29, 0.15): 2.0,
    Colour(0.83, 0.68, 0.38): 2.0,
    Colour(0.60, 0.27, 0.12): 1.0,
    Colour(0.74, 0.74, 0.74): 1.5,
}
PATTERNS: Mapping[Pattern, float] = {rings: 2.0, pinstripes: 1.0, checks: 2.0, dots: 1.0, halves: 1.5, band: 1.5}


@dataclass(frozen=True, slots=True)
class Season:
    """How people of a domain dress; all numbers are probabilities unless said otherwise.

    Attributes:
        bright: 0 gives dark and grey clothes only, 1 gives all colours the same weight.
        short_sleeves: of all upper garments.
        bare_legs: shorts or a skirt instead of long trousers.
        coat: upper garment that reaches the thighs or knees.
        open_jacket: worn open over a shirt of another colour.
        patterned: upper garments with a pattern.
        headwear: cap or woollen hat.
        scarf: around the neck.
        luggage: weight of each way to carry something.
    """

    bright: float
    short_sleeves: float
    bare_legs: float
    coat: float
    open_jacket: float
    patterned: float
    headwear: float
    scarf: float
    luggage: Mapping[str, float]


def dye(rng: np.random.Generator, bright: float) -> Colour:
    """A colour of cloth: a known dye, a little off."""
    sober = {"black": 3.0, "charcoal": 2.0, "grey": 2.0, "white": 1.5, "navy": 2.0, "brown": 1.0, "beige": 1.0}
    weights = {name: bright + (1.0 - bright) * sober.get(name, 0.15) for name in DYES}
    shade = between(rng, 0.85, 1.15)
    return Colour(*(min(1.0, max(0.0, around(rng, channel * shade, 0.07))) for channel in DYES[pick(rng, weights)]))


def cloth(rng: np.random.Generator, bright: float, patterned: float) -> Paint:
    """A cloth, with a pattern in a clearly different colour at the given probability."""
    base = dye(rng, bright)
    if not chance(rng, patterned):
        return Paint(base)
    accent = dye(rng, bright)
    if sum(abs(a - b) for a, b in zip(base, accent, strict=True)) < 0.6:
        accent = base.mixed(Colour(1.0, 1.0, 1.0), 0.7) if sum(base) < 1.5 else base.scaled(0.35)
    return Paint(base, accent, pick(rng, PATTERNS), between(rng, 0.04, 0.10))


def skin(rng: np.random.Generator) -> Colour:
    """A skin colour between two neighbours of the scale."""
    position = rng.random() * (len(SKINS) - 1)
    return SKINS[int(position)].mixed(SKINS[int(position) + 1], position - int(position))
