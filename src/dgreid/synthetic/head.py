"""Head, hair, face and what is worn on the head."""

from __future__ import annotations

from collections.abc import Iterator

from dgreid.synthetic.paint import Colour
from dgreid.synthetic.parts import Part, limb
from dgreid.synthetic.person import Person
from dgreid.synthetic.pose import CHIN, Joint, View

EYES = Colour(0.10, 0.08, 0.08)


def head_parts(person: Person, view: View) -> Iterator[Part]:
    """The head as a ball of hair with a face in front, then locks and hats."""
    yield from _skull(person, view)
    yield from _face(person, view)
    yield from _locks(person, view)
    yield from _hat(person, view)


def _skull(person: Person, view: View) -> Iterator[Part]:
    head, size = person.head, person.body.head
    crown, chin = Joint(0.0, 1.0 - size, 0.0), Joint(0.0, CHIN + 0.8 * size, 0.0)
    bald = head.style == "bald"
    colour = head.skin if bald else head.hair
    if not bald:
        jaw = Joint(0.0, CHIN + 0.62 * size, 0.008)
        yield limb(view, crown, jaw, (0.86 * size, 0.80 * size), head.skin.scaled(0.93), layer=0.10)
    bottom = chin if head.style in ("full", "long") or bald else Joint(0.0, chin.y + 0.35 * size, -0.004)
    volume = {"full": 1.22, "long": 1.10}.get(head.style, 1.0)
    yield limb(view, crown, bottom, (size * volume, 0.92 * size * volume), colour, layer=0.11)


def _face(person: Person, view: View) -> Iterator[Part]:
    if view.cos < -0.55:
        return
    head, size = person.head, person.body.head
    turn = 0.55 + 0.45 * view.cos
    forward = 0.50 * size
    brow, chin = Joint(0.0, CHIN + 1.25 * size, forward), Joint(0.0, CHIN + 0.62 * size, forward)
    yield limb(view, brow, chin, (0.80 * size * turn, 0.66 * size * turn), head.skin, layer=0.2, roundness=0.15)
    if head.beard:
        jaw = Joint(0.0, CHIN + 0.48 * size, forward)
        yield limb(view, jaw, jaw, (0.52 * size * turn, 0.5 * size * turn), head.hair, layer=0.21)
    for side in (-1, 1):
        eye = Joint(side * 0.36 * size, CHIN + 1.12 * size, 0.95 * size)
        if view.depth(eye) > 0.2 * size:
            width = 0.25 * size if head.glasses else 0.10 * size
            yield limb(view, eye, eye, (width, width), EYES, layer=0.25, roundness=0.0)


def _locks(person: Person, view: View) -> Iterator[Part]:
    head, size = person.head, person.body.head
    if head.style == "long":
        for side in (-1, 1):
            top, end = Joint(side * 0.55 * size, 0.96, -0.03), Joint(side * 0.72 * size, CHIN - 0.075, -0.045)
            yield limb(view, top, end, (0.55 * size, 0.52 * size, 0.40 * size), head.hair, layer=0.08)
    elif head.style == "ponytail":
        top, end = Joint(0.0, 0.955, -0.95 * size), Joint(0.0, CHIN - 0.05, -1.25 * size)
        yield limb(view, top, end, (0.30 * size, 0.34 * size, 0.16 * size), head.hair, layer=0.12)
    elif head.style == "bun":
        bun = Joint(0.0, 0.995, -0.75 * size)
        yield limb(view, bun, bun, (0.5 * size, 0.5 * size), head.hair, layer=0.105)


def _hat(person: Person, view: View) -> Iterator[Part]:
    head, size = person.head, person.body.head
    if head.cover == "none":
        return
    left, right = Joint(-0.25 * size, 1.0 - 0.55 * size, 0.0), Joint(0.25 * size, 1.0 - 0.55 * size, 0.0)
    yield limb(view, left, right, (0.86 * size, 0.86 * size), head.cover_colour, layer=0.3)
    if head.cover == "cap":
        brim = Joint(0.0, 1.0 - 0.80 * size, 0.8 * size), Joint(0.0, 1.0 - 0.92 * size, 1.7 * size)
        yield limb(view, brim[0], brim[1], (0.3 * size, 0.2 * size), head.cover_colour.scaled(0.8), layer=0.31)
    else:
        bobble = Joint(0.0, 1.0 + 0.35 * size, 0.0)
        yield limb(view, bobble, bobble, (0.3 * size, 0.3 * size), head.cover_colour.scaled(1.2), layer=0.31)
