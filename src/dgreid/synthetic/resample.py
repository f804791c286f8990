"""Resizing and blurring of (3, H, W) pictures with exactly reproducible arithmetic."""

from __future__ import annotations

import numpy as np

from dgreid.synthetic.paint import Plane


def _positions(size: int, start: float, extent: float) -> tuple[np.ndarray, np.ndarray, Plane]:
    """For each target pixel: the two source pixels and the share of the second."""
    centre = (np.arange(size, dtype=np.float64) + 0.5) * (extent / size) + (start - 0.5)
    low = np.floor(centre)
    return low.astype(np.int64), low.astype(np.int64) + 1, (centre - low).astype(np.float32)


def resample(picture: Plane, size: tuple[int, int], box: tuple[float, float, float, float]) -> Plane:
    """Bilinear resampling of a box of a picture; beyond its border the border repeats.

    Args:
        picture: (3, H, W).
        size: height and width of the result.
        box: top, left, height and width of the box, in pixels of ``picture``.
    """
    top, left, height, width = box
    up, down, y_share = _positions(size[0], top, height)
    west, east, x_share = _positions(size[1], left, width)
    rows, columns = picture.shape[1] - 1, picture.shape[2] - 1
    upper, lower = picture[:, np.clip(up, 0, rows)], picture[:, np.clip(down, 0, rows)]
    band = upper + y_share[:, None] * (lower - upper)
    first, second = band[:, :, np.clip(west, 0, columns)], band[:, :, np.clip(east, 0, columns)]
    return first + x_share * (second - first)


def blur(picture: Plane, strength: float) -> Plane:
    """Mixes each pixel with its four neighbours in turn; ``strength`` 0..0.33 is a neighbour's weight."""
    for axis in (1, 2):
        padded = np.concatenate([picture.take([0], axis), picture, picture.take([-1], axis)], axis)
        size = picture.shape[axis]
        before, after = (padded[:, i : i + size] if axis == 1 else padded[:, :, i : i + size] for i in (0, 2))
        picture = picture + strength * (before + after - 2.0 * picture)
    return picture
