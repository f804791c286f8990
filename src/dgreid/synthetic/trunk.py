"""The trunk and what is worn on it: shirt, jacket, coat, skirt, badge, scarf."""

from __future__ import annotations

from collections.abc import Iterator

from dgreid.synthetic.parts import SKIRT, Part, limb
from dgreid.synthetic.person import Person
from dgreid.synthetic.pose import NECK, SHOULDER, Joint, View


def trunk_parts(person: Person, view: View) -> Iterator[Part]:
    """Hips, skirt, trunk with its front and back, neck and scarf."""
    yield from _below(person, view)
    yield _trunk(person, view)
    yield from _front(person, view)
    yield from _collar(person, view)


def _girth(person: Person, view: View) -> tuple[float, float, float]:
    """Visible half widths at hips, waist and shoulders."""
    body = person.body
    belly = 0.058 + 0.045 * (body.build - 0.8)
    return (
        view.breadth(body.hips, belly),
        view.breadth(0.5 * (body.hips + 0.8 * body.shoulders), belly),
        view.breadth(body.shoulders, belly + 0.006),
    )


def _below(person: Person, view: View) -> Iterator[Part]:
    body, outfit = person.body, person.outfit
    hips, waist, _ = _girth(person, view)
    top, crotch = Joint(0.0, body.legs + 0.06, 0.0), Joint(0.0, body.legs - 0.035, 0.0)
    yield limb(view, top, crotch, (waist, hips, 0.9 * hips), outfit.lower, layer=SKIRT - 0.5, flat=True)
    if outfit.skirt:
        hem = Joint(0.0, body.legs * (1.0 - outfit.leg), 0.0)
        flare = hips + 0.03 + 0.02 * outfit.leg
        yield limb(view, top, hem, (waist, hips + 0.012, flare), outfit.lower, layer=SKIRT, flat=True)
    if outfit.hem > 0.0:
        hem = Joint(0.0, body.legs - outfit.hem, 0.0)
        flare = hips + 0.006 + 0.12 * outfit.hem
        yield limb(view, top, hem, (waist * 1.04, flare), outfit.upper, layer=SKIRT + 0.4, flat=True)


def _trunk(person: Person, view: View) -> Part:
    hips, waist, shoulders = _girth(person, view)
    top = Joint(0.0, SHOULDER + 0.025, 0.0)
    bottom = Joint(0.0, person.body.legs + 0.01, 0.0)
    widths = (0.62 * shoulders, shoulders, 0.98 * shoulders, 0.5 * (shoulders + waist), waist, waist, hips * 1.03)
    return limb(view, top, bottom, widths, person.outfit.upper, flat=True)


def _front(person: Person, view: View) -> Iterator[Part]:
    """What is only seen from the front, or only from the back: the trunk hides the rest."""
    outfit, width = person.outfit, abs(view.cos)
    low = person.body.legs - min(outfit.hem, 0.2) * 0.9
    if outfit.inner is not None and view.cos > 0.0:
        layer = 0.001 if outfit.hem < 0.1 else SKIRT + 0.45
        strip = Joint(0.0, SHOULDER, 0.07), Joint(0.0, person.body.legs + 0.02, 0.07)
        widths = (0.022 * width + 0.004, 0.038 * width + 0.004)
        yield limb(view, strip[0], strip[1], widths, outfit.inner, flat=True, roundness=0.0)
        skirts = Joint(0.0, person.body.legs + 0.03, 0.07), Joint(0.0, low, 0.07)
        shown = outfit.lower if outfit.hem > 0.05 else outfit.inner
        yield limb(view, *skirts, (0.036 * width, 0.044 * width), shown, layer=layer, flat=True, roundness=0.0)
    elif outfit.badge is not None:
        side = 0.065 if view.cos > 0.0 else -0.065
        top, bottom = Joint(0.0, SHOULDER - 0.07, side), Joint(0.0, SHOULDER - 0.13, side)
        yield limb(view, top, bottom, (0.045 * width, 0.045 * width), outfit.badge, roundness=0.0)


def _collar(person: Person, view: View) -> Iterator[Part]:
    base, top = Joint(0.0, NECK - 0.035, 0.0), Joint(0.0, NECK + 0.035, 0.012)
    yield limb(view, top, base, (0.030, 0.034), person.head.skin.scaled(0.9), layer=0.005)
    if person.outfit.scarf is not None:
        left, right = Joint(-0.03 * view.cos, NECK, 0.01), Joint(0.03 * view.cos, NECK, 0.01)
        yield limb(view, left, right, (0.028, 0.028), person.outfit.scarf, layer=0.05)
        end = Joint(0.02, NECK - 0.13, 0.075)
        yield limb(view, Joint(0.02, NECK, 0.06), end, (0.018, 0.02), person.outfit.scarf, layer=0.01, flat=True)
