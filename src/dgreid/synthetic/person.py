"""Who a pedestrian is: body, hair, clothes and what is carried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgreid.synthetic.draws import around, between, chance, pick
from dgreid.synthetic.paint import Colour, Paint
from dgreid.synthetic.wardrobe import HAIRS, Season, cloth, dye, skin


@dataclass(frozen=True, slots=True)
class Body:
    """Proportions; lengths in body heights.

    Attributes:
        height: relative to other people, 0.88..1.06.
        build: relative width, 0.82..1.3.
        shoulders: half the width of the shoulders.
        hips: half the width of the hips.
        legs: height of the hip joints.
        head: half the width of the head.
    """

    height: float
    build: float
    shoulders: float
    hips: float
    legs: float
    head: float


@dataclass(frozen=True, slots=True)
class Head:
    """Attributes: ``style`` is bald, short, full, long, ponytail or bun; ``cover`` is none, cap or beanie."""

    skin: Colour
    hair: Colour
    style: str
    beard: bool
    glasses: bool
    cover: str
    cover_colour: Colour


@dataclass(frozen=True, slots=True)
class Outfit:
    """Clothes.

    Attributes:
        sleeve: share of the arm that is covered, 0..1.
        hem: how far the upper garment falls below the hips, in body heights; a coat's reaches 0.25.
        inner: shirt that an open jacket shows, if it is open.
        badge: print on the chest and back.
        lower: trousers, shorts or skirt, by ``leg`` and ``skirt``.
        leg: share of the leg that is covered, 0..1.
    """

    upper: Paint
    sleeve: float
    hem: float
    inner: Paint | None
    badge: Colour | None
    scarf: Colour | None
    lower: Paint
    leg: float
    skirt: bool
    side_stripe: Colour | None
    shoes: Colour
    sole: Colour
    boots: bool


@dataclass(frozen=True, slots=True)
class Person:
    """A pedestrian. ``luggage`` is none, backpack, shoulder, handbag or suitcase."""

    body: Body
    head: Head
    outfit: Outfit
    luggage: str
    luggage_paint: Paint


def _body(rng: np.random.Generator) -> Body:
    build = around(rng, 1.02, 0.26)
    return Body(
        height=around(rng, 0.97, 0.10),
        build=build,
        shoulders=around(rng, 0.112, 0.022) * (0.6 + 0.4 * build),
        hips=around(rng, 0.078, 0.018) * (0.4 + 0.6 * build),
        legs=around(rng, 0.485, 0.03),
        head=around(rng, 0.061, 0.007),
    )


def _head(rng: np.random.Generator, season: Season) -> Head:
    styles = {"bald": 0.8, "short": 4.0, "full": 2.0, "long": 3.0, "ponytail": 1.5, "bun": 1.0}
    style = pick(rng, styles)
    return Head(
        skin=skin(rng),
        hair=pick(rng, HAIRS),
        style=style,
        beard=chance(rng, 0.3) and style in ("bald", "short", "full"),
        glasses=chance(rng, 0.2),
        cover=pick(rng, {"cap": 0.5, "beanie": 0.5}) if chance(rng, season.headwear) else "none",
        cover_colour=dye(rng, season.bright),
    )


def _outfit(rng: np.random.Generator, season: Season) -> Outfit:
    coat = chance(rng, season.coat)
    short = chance(rng, season.short_sleeves) and not coat
    bare = chance(rng, season.bare_legs)
    skirt = bare and chance(rng, 0.45)
    stripe, badge, scarf = (dye(rng, 1.0) for _ in range(3))
    boots = chance(rng, 0.25 if coat else 0.08)
    return Outfit(
        upper=cloth(rng, season.bright, season.patterned),
        sleeve=between(rng, 0.22, 0.5) if short else 0.93,
        hem=between(rng, 0.12, 0.25) if coat else between(rng, 0.0, 0.06),
        inner=cloth(rng, season.bright, 0.2) if chance(rng, season.open_jacket) and not short else None,
        badge=badge if chance(rng, 0.25) else None,
        scarf=scarf if chance(rng, season.scarf) else None,
        lower=cloth(rng, 0.85 * season.bright, 0.15),
        leg=(between(rng, 0.25, 0.7) if skirt else between(rng, 0.3, 0.55)) if bare else 1.0,
        skirt=skirt,
        side_stripe=stripe if chance(rng, 0.12) else None,
        shoes=dye(rng, 0.7),
        sole=dye(rng, 0.0) if chance(rng, 0.5) else Colour(0.9, 0.9, 0.9),
        boots=boots,
    )


def draw_person_attributes(rng: np.random.Generator, season: Season) -> Person:
    """A random pedestrian, dressed for the season."""
    return Person(
        body=_body(rng),
        head=_head(rng, season),
        outfit=_outfit(rng, season),
        luggage=pick(rng, season.luggage),
        luggage_paint=cloth(rng, 0.7, 0.15),
    )
