"""Where the joints of a walking person are, and how a camera sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dgreid.synthetic.canvas import Point
from dgreid.synthetic.draws import between, cosine, sine
from dgreid.synthetic.person import Body

SHOULDER, NECK, CHIN = 0.815, 0.845, 0.868


class Joint(NamedTuple):
    """A point of the body in body heights: x to the person's left, y up, z to the front."""

    x: float
    y: float
    z: float


class View:
    """Parallel projection of the body.

    Args:
        yaw: 0 sees the face, pi the back, pi / 2 the person walking to the right.
        pitch: how far the camera looks down, in radians.
    """

    def __init__(self, yaw: float, pitch: float) -> None:
        self.cos, self.sin = cosine(yaw), sine(yaw)
        self.turn = round(yaw * 0.1, 6)
        self._cos_pitch, self._sin_pitch = cosine(pitch), sine(pitch)

    def depth(self, joint: Joint) -> float:
        """Nearness to the camera."""
        return joint.z * self.cos - joint.x * self.sin

    def point(self, joint: Joint) -> Point:
        """Where the joint is seen."""
        across = joint.x * self.cos + joint.z * self.sin
        return Point(across, joint.y * self._cos_pitch - self.depth(joint) * self._sin_pitch)

    def breadth(self, width: float, thickness: float) -> float:
        """Half the visible width of an oval trunk."""
        return float(np.sqrt((width * self.cos) ** 2 + (thickness * self.sin) ** 2))


@dataclass(frozen=True, slots=True)
class Limb:
    """An arm or a leg: ``root`` is the shoulder or hip, ``bend`` the elbow or knee, ``tip`` the wrist or ankle."""

    root: Joint
    bend: Joint
    tip: Joint


@dataclass(frozen=True, slots=True)
class Pose:
    """One moment of a walk: phase and length of the stride, swing of the arms, bend of the elbows, in radians."""

    phase: float
    stride: float
    swing: float
    elbows: tuple[float, float]

    def leg(self, body: Body, side: int) -> Limb:
        """The left (side 1) or right (side -1) leg."""
        angle = side * self.stride * sine(self.phase)
        knee = self.stride * max(0.0, side * cosine(self.phase)) + 0.08
        upper, lower = 0.52 * body.legs, 0.40 * body.legs
        root = Joint(side * 0.55 * body.hips, body.legs, 0.0)
        bend = Joint(root.x, root.y - upper * cosine(angle), upper * sine(angle))
        shin = angle - knee
        return Limb(root, bend, Joint(root.x * 0.9, bend.y - lower * cosine(shin), bend.z + lower * sine(shin)))

    def arm(self, body: Body, side: int) -> Limb:
        """The left (side 1) or right (side -1) arm."""
        angle = -side * self.swing * sine(self.phase)
        fore = angle + self.elbows[(side + 1) // 2]
        root = Joint(side * 0.97 * body.shoulders, SHOULDER - 0.028, 0.0)
        bend = Joint(root.x + side * 0.022, root.y - 0.155, 0.165 * sine(angle))
        return Limb(root, bend, Joint(bend.x, bend.y - 0.15 * cosine(fore), bend.z + 0.15 * sine(fore)))


def draw_pose(rng: np.random.Generator) -> Pose:
    """A random moment of a walk; now and then an arm is bent, as with a telephone."""
    elbows = tuple(between(rng, 0.1, 0.6) if rng.random() < 0.85 else between(rng, 1.2, 2.2) for _ in range(2))
    return Pose(
        phase=between(rng, 0.0, 6.2832),
        stride=between(rng, 0.08, 0.5),
        swing=between(rng, 0.05, 0.5),
        elbows=(elbows[0], elbows[1]),
    )
