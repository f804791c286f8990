"""A body part: a tube in the pile that makes a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dgreid.synthetic.canvas import Tube
from dgreid.synthetic.paint import Colour, Paint
from dgreid.synthetic.pose import Joint, View

# Nearness of whole groups: legs lie under the trunk, whatever the stride.
LEGS, SKIRT, TRUNK = -2.0, -1.0, 0.0


class Part(NamedTuple):
    """A tube and its nearness; the pile is drawn from the furthest to the nearest."""

    nearness: float
    tube: Tube


def limb(
    view: View,
    start: Joint,
    end: Joint,
    widths: Sequence[float],
    paint: Paint | Colour,
    *,
    layer: float = TRUNK,
    flat: bool = False,
    roundness: float = 0.3,
) -> Part:
    """A tube between two joints, as near as its middle is."""
    middle = Joint((start.x + end.x) / 2, (start.y + end.y) / 2, (start.z + end.z) / 2)
    tube = Tube(
        view.point(start),
        view.point(end),
        tuple(widths),
        Paint(paint) if isinstance(paint, Colour) else paint,
        flat=flat,
        turn=view.turn,
        roundness=roundness,
    )
    return Part(layer + view.depth(middle), tube)


def between_joints(start: Joint, end: Joint, share: float) -> Joint:
    """The point at a share of the way."""
    return Joint(*(a + (b - a) * share for a, b in zip(start, end, strict=True)))
