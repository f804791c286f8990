"""Bicubic resizing of uint8 images with Pillow's pixels, exactly.

Torch's uint8 kernel is several times faster than Pillow's, but its weights have 14 or 15 bits where Pillow's have 22:
in general the two differ by a level or two, and by more where one axis grows and the other shrinks. Doubling is the
exception: away from the border its weights are multiples of 1/128, which both hold exactly. Market-1501 to 256x128 is
such a case. Here torch doubles, and the three outermost pixels of each side are computed in Pillow's own arithmetic;
all other sizes go to Pillow.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

BORDER = 3  # outputs at each end of an axis whose filter is cut off, and the inputs that they depend on
SMALLEST_DOUBLED = 2 * BORDER
PILLOW_PRECISION = 22  # bits behind the point in Pillow's weights (8-bit images)
CUBIC = -0.5  # Pillow's parameter of the bicubic kernel


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """Bicubic with anti-aliasing, equal to ``PIL.Image.resize(..., Image.Resampling.BICUBIC)``.

    Args:
        image: (H, W, 3) uint8.
        height: rows of the result.
        width: columns of the result.

    Returns:
        (height, width, 3) uint8; ``image`` itself if it has this size.
    """
    resized: Pixels = resize_stack(image[None], height, width)[0]
    return resized


def resize_stack(images: Pixels, height: int, width: int) -> Pixels:
    """:func:`resize` for images of one size.

    Args:
        images: (N, H, W, 3) uint8.
        height: rows of the result.
        width: columns of the result.

    Returns:
        (N, height, width, 3) uint8; ``images`` itself if it has this size.
    """
    rows, columns = images.shape[1:3]
    if _can_double(rows, height) and _can_double(columns, width):
        # Pillow's order: horizontal first, rounded to uint8 in between.
        wide = images if columns == width else _double(images, axis=2)
        return wide if rows == height else _double(wide, axis=1)
    return np.stack([_resize_with_pillow(image, height, width) for image in images])


def _can_double(size: int, target: int) -> bool:
    return target == size or (target == 2 * size and size >= SMALLEST_DOUBLED)


def _resize_with_pillow(image: Pixels, height: int, width: int) -> Pixels:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def _double(images: Pixels, axis: int) -> Pixels:
    """(N, H, W, 3) doubled along axis 1 or 2."""
    size = images.shape[axis]
    shape = [images.shape[1], images.shape[2]]
    shape[axis - 1] *= 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # it is only read
        # Seen as NCHW, (N, H, W, 3) is channels_last, for which torch has the fast kernel.
        channels_last = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    doubled = F.interpolate(channels_last, size=shape, mode="bicubic", antialias=True).permute(0, 2, 3, 1).numpy()
    doubled[_ends(axis, 2 * size)] = np.moveaxis(_border(np.moveaxis(images[_ends(axis, size)], axis, 0)), 0, axis)
    return doubled


def _ends(axis: int, size: int) -> tuple[slice | list[int], ...]:
    """Selects the outermost positions of both ends of an axis."""
    return (*[slice(None)] * axis, [*range(BORDER), *range(size - BORDER, size)])


def _border(taps: Pixels) -> Pixels:
    """(6, ...) outermost inputs of both ends to (6, ...) outermost outputs."""
    # Pillow's sums: they stay below 2**31. A matrix product would wake BLAS threads, which loaders must not.
    weights, inputs = _border_weights(), taps.reshape(2 * BORDER, -1).astype(np.int32)
    sums = np.full_like(inputs, 1 << (PILLOW_PRECISION - 1))
    for output, tap in zip(*weights.nonzero(), strict=True):
        sums[output] += weights[output, tap] * inputs[tap]
    sums >>= PILLOW_PRECISION
    return sums.clip(0, 255, out=sums).astype(np.uint8).reshape(taps.shape)


@cache
def _border_weights() -> NDArray[np.int32]:
    """(6, 6) integers: the three outermost outputs of both ends from the three outermost inputs of both ends."""
    weights = np.zeros((2 * BORDER, 2 * BORDER), dtype=np.int32)
    for output in range(BORDER):
        distance = np.abs(np.arange(BORDER) + 0.5 - (output + 0.5) / 2)
        taps = _bicubic(distance)
        fixed = np.trunc(taps / taps.sum() * (1 << PILLOW_PRECISION) + np.copysign(0.5, taps))
        weights[output, :BORDER] = fixed
        weights[-1 - output, BORDER:] = fixed[::-1]
    return weights


def _bicubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * CUBIC
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
