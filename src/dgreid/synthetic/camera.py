"""A camera: where it hangs, what stands behind the people, and what its sensor does to light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgreid.synthetic.draws import around, between, chance, pick
from dgreid.synthetic.paint import Colour, Plane
from dgreid.synthetic.resample import blur, resample
from dgreid.synthetic.scenery import draw_scene
from dgreid.synthetic.styles import Range, Style

LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of a domain; ranges and meanings as in ``Style``.

    Attributes:
        path: angle at which most people walk by, in radians; half of them walk the other way.
        light: direction and strength of the light.
        slope: how much brighter the right side is than the left.
        scene: (3, H, 6 W) picture of the background.
    """

    path: float
    pitch: float
    cast: Colour
    gain: float
    contrast: float
    saturation: float
    sharpness: float
    blur: float
    noise: float
    light: tuple[float, float]
    slope: float
    scene: Plane


def place_camera(rng: np.random.Generator, style: Style, height: int, width: int) -> Camera:
    """A random camera of the style, for pictures of the given size in pixels."""

    def within(limits: Range) -> float:
        return between(rng, *limits)

    spread = style.camera_cast
    side = style.light if chance(rng, 0.5) else -style.light
    return Camera(
        path=between(rng, 0.0, 3.14159),
        pitch=within(style.pitch),
        cast=Colour(*(around(rng, gain, spread) for gain in style.cast)),
        gain=within(style.gain),
        contrast=within(style.contrast),
        saturation=within(style.saturation),
        sharpness=within(style.sharpness),
        blur=within(style.blur),
        noise=within(style.noise),
        light=(side, 0.5 * style.light),
        slope=around(rng, 0.0, style.light),
        scene=draw_scene(rng, pick(rng, style.scenes), height, width),
    )


def background(rng: np.random.Generator, camera: Camera, size: tuple[int, int]) -> Plane:
    """A part of the camera's scene, resized to the given height and width."""
    _, height, length = camera.scene.shape
    zoom = between(rng, 0.75, 1.0)
    box_height, box_width = height * zoom, height * zoom * size[1] / size[0]
    top, left = (height - box_height) * (0.5 + 0.5 * rng.random()), between(rng, 0.0, length - box_width)
    return resample(camera.scene, size, (top, left, box_height, box_width))


def develop(rng: np.random.Generator, camera: Camera, picture: Plane) -> np.ndarray:
    """What the sensor makes of the light: colours, contrast, blur and noise.

    Args:
        rng: exposure of this shot and noise.
        camera: its sensor.
        picture: (3, H, W) float32.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    _, height, width = picture.shape
    grey = LUMA[0] * picture[0] + LUMA[1] * picture[1] + LUMA[2] * picture[2]
    picture = grey + camera.saturation * (picture - grey)
    slope = (np.arange(width, dtype=np.float32) / width - 0.5) * camera.slope + 1.0
    exposure = camera.gain * around(rng, 1.0, 0.08)
    gains = np.array([exposure * gain for gain in camera.cast], dtype=np.float32)[:, None, None]
    picture = (picture * gains * slope - 0.45) * camera.contrast + 0.45
    picture = blur(picture, camera.blur)
    noise = rng.random((3, height, width), dtype=np.float32) - 0.5
    grain = rng.random((height, width), dtype=np.float32) - 0.5
    picture = picture + camera.noise * (noise + 1.5 * grain)
    return (np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8).transpose(1, 2, 0)
