"""A person, a pose and a view become a picture of a pedestrian."""

from __future__ import annotations

from dgreid.synthetic.canvas import Canvas, Point, Tube
from dgreid.synthetic.head import head_parts
from dgreid.synthetic.limbs import arm_parts, leg_parts
from dgreid.synthetic.luggage import luggage_parts
from dgreid.synthetic.paint import Colour, Paint
from dgreid.synthetic.person import Person
from dgreid.synthetic.pose import Pose, View
from dgreid.synthetic.trunk import trunk_parts


def draw_figure(canvas: Canvas, person: Person, pose: Pose, view: View) -> None:
    """Draws a pedestrian whose feet stand on the canvas's ground point, the furthest parts first."""
    canvas.draw(_shadow(canvas, view))
    parts = [
        *leg_parts(person, pose, view),
        *trunk_parts(person, view),
        *arm_parts(person, pose, view),
        *head_parts(person, view),
        *luggage_parts(person, pose, view),
    ]
    for part in sorted(parts, key=lambda part: part.nearness):
        canvas.draw(part.tube)


def _shadow(canvas: Canvas, view: View) -> Tube:
    """A soft patch on the ground, away from the light."""
    away = -0.25 if canvas.light[0] > 0.0 else 0.25
    shape = (0.05, 0.025, 0.01)
    ground = Paint(Colour(0.05, 0.05, 0.06))
    return Tube(Point(0.0, 0.015), Point(away, 0.03), shape, ground, opacity=0.35, roundness=0.0)
