"""Colour jitter on uint8 batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dgreid.data.resizing import Pixels

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's conversion to grey


def jitter(crops: Sequence[Pixels], strength: float, numbers: NDArray[np.float64]) -> list[Pixels]:
    """Scales brightness, then contrast (about the mean grey), then saturation (about each pixel's grey).

    Args:
        crops: B arrays (H, W, 3) uint8; not changed.
        strength: s; the three factors of an image lie in [1 - s, 1 + s].
        numbers: (B, 3) in [0, 1).

    Returns:
        B new arrays (H, W, 3) uint8.
    """
    factors = (1 + strength * (2 * numbers - 1)).astype(np.float32)
    jittered = []
    for crop, (brightness, contrast, saturation) in zip(crops, factors, strict=True):
        pixels = np.clip(crop * brightness, 0, 255)
        mean_grey = _grey(pixels).mean()
        pixels = np.clip(mean_grey + contrast * (pixels - mean_grey), 0, 255)
        grey = _grey(pixels)[..., None]
        jittered.append(np.rint(np.clip(grey + saturation * (pixels - grey), 0, 255)).astype(np.uint8))
    return jittered


def _grey(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    # Not a matrix product: that would wake BLAS threads, which loaders must not.
    return pixels[..., 0] * LUMA[0] + pixels[..., 1] * LUMA[1] + pixels[..., 2] * LUMA[2]
