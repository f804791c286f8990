"""One picture of one person by one camera of a domain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dgreid.synthetic.camera import Camera, background, develop, place_camera
from dgreid.synthetic.canvas import Canvas, Point, Tube
from dgreid.synthetic.draws import around, between, chance, generator
from dgreid.synthetic.figure import draw_figure
from dgreid.synthetic.paint import Paint, Plane
from dgreid.synthetic.person import Person, draw_person_attributes
from dgreid.synthetic.pose import View, draw_pose
from dgreid.synthetic.resample import resample
from dgreid.synthetic.styles import Style
from dgreid.synthetic.wardrobe import dye

MARGIN = 1.08  # picture heights per person of average height


class Portrait(NamedTuple):
    """A person seen by a camera, for the ``shot``-th time."""

    person: int
    camera: int
    shot: int

    def drawn_by(self, studio: Studio) -> np.ndarray:
        """(height, width, 3) uint8."""
        rng = studio.generator("shot", *self)
        return studio.take(rng, self.camera, studio.person(self.person), studio.style.jitter)


class Mishap(NamedTuple):
    """A badly cut box around a stranger, as detectors yield them."""

    camera: int
    shot: int

    def drawn_by(self, studio: Studio) -> np.ndarray:
        """(height, width, 3) uint8."""
        rng = studio.generator("mishap", *self)
        return studio.take(rng, self.camera, draw_person_attributes(rng, studio.style.season), 0.45)


Drawing = Portrait | Mishap


class Studio:
    """Draws the pictures of one domain; each is a pure function of the arguments, the version and its own numbers.

    Args:
        name: of the domain; people and cameras of two names have nothing in common.
        style: of the domain.
        seed: of the benchmark.
        height: of a picture in pixels.
        width: of a picture in pixels.
    """

    def __init__(self, name: str, style: Style, seed: int, height: int, width: int) -> None:
        self.name = name
        self.style = style
        self.seed = seed
        self.height = height
        self.width = width
        self._cameras: dict[int, Camera] = {}

    def generator(self, *key: int | str) -> np.random.Generator:
        """Draws for this domain."""
        return generator(self.seed, self.name, *key)

    def camera(self, number: int) -> Camera:
        """A camera of the domain; kept, because its scene takes as long as many pictures."""
        if number not in self._cameras:
            rng = self.generator("camera", number)
            self._cameras[number] = place_camera(rng, self.style, self.height, self.width)
        return self._cameras[number]

    def person(self, number: int) -> Person:
        """A pedestrian of the domain."""
        return draw_person_attributes(self.generator("person", number), self.style.season)

    def draw(self, drawing: Drawing) -> np.ndarray:
        """The picture; (height, width, 3) uint8, RGB."""
        return drawing.drawn_by(self)

    def take(self, rng: np.random.Generator, number: int, person: Person, jitter: float) -> np.ndarray:
        """A photograph.

        Args:
            rng: moment, cut and noise.
            number: of the camera.
            person: who walks by.
            jitter: how carelessly the box is cut, in body heights.

        Returns:
            (height, width, 3) uint8, RGB.
        """
        camera = self.camera(number)
        size = max(16, round(self.height * camera.sharpness)), max(8, round(self.width * camera.sharpness))
        pixels = background(rng, camera, size)
        scale = size[0] / MARGIN * person.body.height * around(rng, 1.0, jitter)
        feet = (
            size[1] * (0.5 + around(rng, 0.0, 2.0 * jitter)),
            size[0] * (0.5 + around(rng, 0.0, jitter)) + 0.48 * scale,
        )
        view = View(
            camera.path + (3.141593 if chance(rng, 0.5) else 0.0) + around(rng, 0.0, 0.7),
            camera.pitch + around(rng, 0.0, 0.05),
        )
        draw_figure(Canvas(pixels, scale, feet, camera.light), person, draw_pose(rng), view)
        if chance(rng, self.style.occlusion):
            self._cover(rng, camera, pixels)
        if size != (self.height, self.width):
            pixels = resample(pixels, (self.height, self.width), (0.0, 0.0, *size))
        return develop(rng, camera, pixels)

    def _cover(self, rng: np.random.Generator, camera: Camera, pixels: Plane) -> None:
        """Something between camera and person: a passer-by, or a bin, bench or post."""
        _, height, width = pixels.shape
        side = between(rng, 0.36, 0.55) * (1.0 if chance(rng, 0.5) else -1.0)
        feet = (width * (0.5 + side), height * between(rng, 1.0, 1.15))
        canvas = Canvas(pixels, height, feet, camera.light)
        if chance(rng, 0.5):
            passer_by = draw_person_attributes(rng, self.style.season)
            draw_figure(canvas, passer_by, draw_pose(rng), View(between(rng, 0.0, 6.283185), camera.pitch))
            return
        post = chance(rng, 0.4)
        half = between(rng, 0.02, 0.04) if post else between(rng, 0.1, 0.2)
        top = 1.2 if post else between(rng, 0.2, 0.5)
        thing = Paint(dye(rng, 0.3))
        canvas.draw(Tube(Point(0.0, top), Point(0.0, -0.1), (half, half), thing, flat=True, roundness=0.2))
