"""What people carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dgreid.synthetic.paint import Colour
from dgreid.synthetic.parts import Part, limb
from dgreid.synthetic.person import Person
from dgreid.synthetic.pose import SHOULDER, Joint, Pose, View

HANDLE = Colour(0.25, 0.25, 0.27)


def luggage_parts(person: Person, pose: Pose, view: View) -> Iterator[Part]:
    """The parts of what this person carries."""
    return KINDS[person.luggage](person, pose, view)


def _nothing(person: Person, pose: Pose, view: View) -> Iterator[Part]:
    yield from ()


def _backpack(person: Person, pose: Pose, view: View) -> Iterator[Part]:
    paint, width = person.luggage_paint, 0.8 * person.body.shoulders
    top, bottom = Joint(0.0, SHOULDER - 0.035, -0.115), Joint(0.0, SHOULDER - 0.24, -0.125)
    body = view.breadth(width, 0.055)
    yield limb(view, top, bottom, (0.75 * body, body, 0.95 * body), paint, layer=-0.01)
    pocket = Joint(0.0, SHOULDER - 0.20, -0.17), Joint(0.0, SHOULDER - 0.25, -0.17)
    shade = paint.base.scaled(0.75)
    yield limb(view, *pocket, (view.breadth(0.6 * width, 0.02),) * 2, shade, layer=-0.005, flat=True)
    for side in (-1, 1):
        strap = Joint(side * 0.058, SHOULDER + 0.015, 0.06), Joint(side * 0.075, SHOULDER - 0.19, 0.065)
        yield limb(view, *strap, (0.013, 0.011), shade, roundness=0.0)


def _shoulder_bag(person: Person, pose: Pose, view: View) -> Iterator[Part]:
    paint, hips = person.luggage_paint, person.body.hips
    strap = paint.base.scaled(0.7)
    for front in (-0.067, 0.067):
        line = Joint(-0.055, SHOULDER + 0.02, 0.6 * front), Joint(hips + 0.01, 0.55, front)
        yield limb(view, *line, (0.009, 0.009), strap, roundness=0.0)
    top, bottom = Joint(hips + 0.045, 0.56, 0.0), Joint(hips + 0.05, 0.45, 0.0)
    yield limb(view, top, bottom, (view.breadth(0.032, 0.085),) * 2, paint, layer=0.06, flat=True)


def _handbag(person: Person, pose: Pose, view: View) -> Iterator[Part]:
    hand = pose.arm(person.body, 1).tip
    top, bottom = Joint(hand.x + 0.005, hand.y - 0.10, hand.z), Joint(hand.x + 0.005, hand.y - 0.21, hand.z)
    for end in (-0.05, 0.05):
        yield limb(view, hand, Joint(top.x, top.y, top.z + end), (0.006, 0.006), HANDLE, layer=0.04)
    width = view.breadth(0.03, 0.075)
    yield limb(view, top, bottom, (0.85 * width, width), person.luggage_paint, layer=0.05, flat=True)


def _suitcase(person: Person, pose: Pose, view: View) -> Iterator[Part]:
    hand = pose.arm(person.body, -1).tip
    top, bottom = Joint(hand.x - 0.03, 0.31, hand.z - 0.14), Joint(hand.x - 0.03, 0.05, hand.z - 0.16)
    yield limb(view, hand, top, (0.008, 0.008), HANDLE, layer=-0.02)
    width = view.breadth(0.085, 0.05)
    yield limb(view, top, bottom, (width, width), person.luggage_paint, layer=-0.03, flat=True, roundness=0.2)
    for side in (-1, 1):
        wheel = Joint(bottom.x + side * 0.05, 0.035, bottom.z)
        yield limb(view, wheel, wheel, (0.016, 0.016), HANDLE, layer=-0.03)


KINDS: Mapping[str, Callable[[Person, Pose, View], Iterator[Part]]] = {
    "none": _nothing,
    "backpack": _backpack,
    "shoulder": _shoulder_bag,
    "handbag": _handbag,
    "suitcase": _suitcase,
}
