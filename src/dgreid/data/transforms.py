"""From crops to a batch: augmentation on uint8 pixels, normalisation on the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgreid.data import colour, erasing
from dgreid.data.resizing import Pixels
from dgreid.data.row_draws import StepDraws
from dgreid.errors import InputError

LARGEST_CROP = 4_096  # pixels on a side
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class TrainTransform:
    """Flip, pad with black and crop back, as both releases do; colour jitter and random erasing as options.

    Each option draws from a stream of its own, so switching one on leaves what the others do unchanged.

    Args:
        flip: probability of a horizontal flip.
        pad: black pixels added on each side before a random crop of the original size; 0 leaves the crop alone.
        random_erasing: probability that a rectangle is erased (Zhong et al., AAAI 2020), after the crop.
        colour_jitter: strength s; brightness, contrast and saturation are scaled by factors in [1 - s, 1 + s], before
            the crop, so that its border stays black.

    Raises:
        InputError: a value out of range.
    """

    def __init__(
        self, *, flip: float = 0.5, pad: int = 10, random_erasing: float = 0.0, colour_jitter: float = 0.0
    ) -> None:
        for name, value in (("flip", flip), ("random_erasing", random_erasing), ("colour_jitter", colour_jitter)):
            if not 0 <= value <= 1:
                raise InputError(f"{name}={value} must lie in [0, 1]")
        if pad < 0:
            raise InputError(f"pad={pad} must not be negative; 0 switches padding and cropping off")
        self.flip = flip
        self.pad = pad
        self.random_erasing = random_erasing
        self.colour_jitter = colour_jitter

    def __call__(self, crops: Sequence[Pixels], draws: StepDraws) -> Pixels:
        """Augments a batch.

        Args:
            crops: B arrays (H, W, 3) uint8 RGB of one size; not changed.
            draws: random numbers of these B rows.

        Returns:
            (B, H, W, 3) uint8, a new array.
        """
        if self.colour_jitter:
            crops = colour.jitter(crops, self.colour_jitter, draws.uniform("colour", 3))
        flip, row, column = draws.uniform("geometry", 3).T
        steps = 2 * self.pad + 1
        images = shift(crops, (row * steps).astype(int) - self.pad, (column * steps).astype(int) - self.pad)
        flip_rows(images, np.flatnonzero(flip < self.flip))
        if self.random_erasing:
            erasing.erase(images, self.random_erasing, draws.uniform("erasing", erasing.COLUMNS))
        return images


def check_crops(height: int, width: int, pad: int) -> None:
    """Sizes that can be trained with.

    Raises:
        InputError: no or too many pixels, or so wide a border that a crop may show nothing of the image.
    """
    if min(height, width) < 1 or max(height, width) > LARGEST_CROP:
        raise InputError(
            f"crops of {height}x{width} pixels; height and width must be at least 1 and at most {LARGEST_CROP:,}"
        )
    if pad >= min(height, width):
        raise InputError(
            f"transform.pad={pad} on crops of {height}x{width} pixels could leave nothing of an image; it must be "
            f"below {min(height, width)}"
        )


def shift(crops: Sequence[Pixels], down: NDArray[np.int64], right: NDArray[np.int64]) -> Pixels:
    """Moves each crop by whole pixels into a black frame of its own size: padding and cropping in one copy.

    Args:
        crops: B arrays (H, W, 3) uint8.
        down: (B,) pixels by which each moves down.
        right: (B,) pixels by which each moves to the right.
    """
    height, width = crops[0].shape[:2]
    shifted = np.zeros((len(crops), height, width, 3), dtype=np.uint8)
    for image, crop, y, x in zip(shifted, crops, down.tolist(), right.tolist(), strict=True):
        target, source = image[max(y, 0) : height + y, max(x, 0) : width + x], crop[max(-y, 0) :, max(-x, 0) :]
        target[:] = source[: target.shape[0], : target.shape[1]]
    return shifted


def flip_rows(images: Pixels, rows: NDArray[np.int64]) -> None:
    """Mirrors some images left to right, in place.

    Args:
        images: (B, H, W, 3) uint8.
        rows: which of them.
    """
    # Torch mirrors channels_last pixels with SIMD, ten times faster than a negative stride in NumPy.
    channels_last = torch.from_numpy(images).permute(0, 3, 1, 2)
    for row in rows.tolist():
        channels_last[row] = channels_last[row : row + 1].flip(3)[0]


def as_tensor(images: Pixels) -> Tensor:
    """(B, H, W, 3) uint8 array to a (B, 3, H, W) uint8 tensor of the same memory (channels_last)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def normalise(images: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """What ``ToTensor`` and ``Normalize`` of torchvision do, for a batch on its device.

    Args:
        images: (B, 3, H, W) uint8.
        mean: of each channel, for values in [0, 1].
        std: likewise.

    Returns:
        (B, 3, H, W) float32, contiguous.
    """
    scaled = images.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    channels = (1, -1, 1, 1)
    return scaled.sub_(scaled.new_tensor(mean).view(channels)).div_(scaled.new_tensor(std).view(channels))
