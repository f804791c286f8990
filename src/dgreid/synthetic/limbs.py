"""Arms, legs, hands and shoes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from dgreid.synthetic.paint import Paint
from dgreid.synthetic.parts import LEGS, Part, between_joints, limb
from dgreid.synthetic.person import Person
from dgreid.synthetic.pose import Joint, Limb, Pose, View


def leg_parts(person: Person, pose: Pose, view: View) -> Iterator[Part]:
    """Both legs with trousers or bare skin, and shoes."""
    for side in (-1, 1):
        leg = pose.leg(person.body, side)
        yield from _leg(person, leg, view)
        yield from _shoe(person, leg, view)


def _leg(person: Person, leg: Limb, view: View) -> Iterator[Part]:
    outfit, width = person.outfit, 0.35 + 0.65 * person.body.build
    skin, lower = person.head.skin, outfit.lower
    if outfit.skirt or outfit.leg < 1.0:
        yield limb(view, leg.root, leg.bend, (0.046 * width, 0.034 * width), skin, layer=LEGS)
        yield limb(view, leg.bend, leg.tip, (0.033 * width, 0.034 * width, 0.022 * width), skin, layer=LEGS)
    if outfit.skirt:
        return
    if outfit.leg < 1.0:
        hem = between_joints(leg.root, leg.bend, min(1.0, outfit.leg / 0.52))
        yield limb(view, leg.root, hem, (0.055 * width, 0.054 * width), lower, layer=LEGS + 0.01)
        return
    yield limb(view, leg.root, leg.bend, (0.054 * width, 0.044 * width), lower, layer=LEGS)
    yield limb(view, leg.bend, leg.tip, (0.043 * width, 0.036 * width, 0.033 * width), lower, layer=LEGS)
    if outfit.side_stripe:
        outer = [Joint(joint.x * 1.45, joint.y, joint.z) for joint in (leg.root, leg.bend, leg.tip)]
        for start, end in pairwise(outer):
            yield limb(view, start, end, (0.008, 0.008), outfit.side_stripe, layer=LEGS + 0.02)


def _shoe(person: Person, leg: Limb, view: View) -> Iterator[Part]:
    outfit, ankle = person.outfit, leg.tip
    heel = Joint(ankle.x, ankle.y - 0.022, ankle.z - 0.012)
    toe = Joint(ankle.x * 1.25, ankle.y - 0.030, ankle.z + 0.075)
    under = [Joint(joint.x, joint.y - 0.016, joint.z) for joint in (heel, toe)]
    yield limb(view, under[0], under[1], (0.018, 0.018), outfit.sole, layer=LEGS - 0.02)
    yield limb(view, heel, toe, (0.024, 0.022), outfit.shoes, layer=LEGS + 0.01)
    if outfit.boots:
        shaft = between_joints(leg.tip, leg.bend, 0.6)
        yield limb(view, shaft, leg.tip, (0.038, 0.032), outfit.shoes, layer=LEGS + 0.02)


def arm_parts(person: Person, pose: Pose, view: View) -> Iterator[Part]:
    """Both arms: skin, the sleeve over it, and the hand."""
    for side in (-1, 1):
        yield from _arm(person, pose.arm(person.body, side), view)


def _arm(person: Person, arm: Limb, view: View) -> Iterator[Part]:
    outfit, width = person.outfit, 0.4 + 0.6 * person.body.build
    skin, sleeve = person.head.skin, outfit.upper
    hand = between_joints(arm.bend, arm.tip, 1.12)
    yield limb(view, arm.tip, hand, (0.019, 0.017), skin, layer=0.02)
    if outfit.sleeve > 0.9:
        yield limb(view, arm.root, arm.bend, (0.040 * width, 0.034 * width), sleeve, layer=0.03)
        yield limb(view, arm.bend, arm.tip, (0.033 * width, 0.028 * width), sleeve, layer=0.03)
        return
    end = between_joints(arm.root, arm.bend, outfit.sleeve / 0.5)
    yield limb(view, arm.root, arm.bend, (0.030 * width, 0.025 * width), skin, layer=0.02)
    yield limb(view, arm.bend, arm.tip, (0.025 * width, 0.018 * width), skin, layer=0.02)
    yield limb(view, arm.root, end, (0.041 * width, 0.038 * width), _lit(sleeve), layer=0.03)


def _lit(paint: Paint) -> Paint:
    """A sleeve a touch lighter than the trunk, so that it stands out from it."""
    return Paint(paint.base.scaled(1.06), paint.accent, paint.pattern, paint.period)
