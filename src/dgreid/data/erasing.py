"""Random erasing on uint8 batches (Zhong et al., Random Erasing Data Augmentation, AAAI 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgreid.data.resizing import Pixels

AREA = (0.02, 0.4)  # share of the image
ASPECT = (0.3, 1 / 0.3)  # height / width
ATTEMPTS = 10  # rectangles tried until one fits
COLUMNS = 3 + 2 * ATTEMPTS  # random numbers for each image
FILL = (124, 116, 104)  # ImageNet's mean in levels: nearly 0 once normalised, as in re-ID practice


def erase(images: Pixels, probability: float, numbers: NDArray[np.float64]) -> None:
    """Fills a rectangle of some images, in place; an image in which no attempt fits stays as it is.

    Args:
        images: (B, H, W, 3) uint8.
        probability: that an image is chosen.
        numbers: (B, COLUMNS) in [0, 1).
    """
    for row in np.flatnonzero(numbers[:, 0] < probability).tolist():
        top, left, height, width = rectangle(images.shape[1], images.shape[2], numbers[row, 1:])
        images[row, top : top + height, left : left + width] = FILL


def rectangle(rows: int, columns: int, numbers: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """The first of ``ATTEMPTS`` rectangles that is smaller than the image in both directions.

    Args:
        rows: height of the image.
        columns: its width.
        numbers: (COLUMNS - 1,) in [0, 1): two for the place, then two for each attempt.

    Returns:
        (top, left, height, width); height and width 0 if none fits.
    """
    area_numbers, aspect_numbers = numbers[2:].reshape(ATTEMPTS, 2).T
    areas = (AREA[0] + (AREA[1] - AREA[0]) * area_numbers) * rows * columns
    low, high = np.log(ASPECT)
    aspects = np.exp(low + (high - low) * aspect_numbers)  # tall and wide alike
    heights, widths = np.rint(np.sqrt(areas * aspects)).astype(int), np.rint(np.sqrt(areas / aspects)).astype(int)
    fits = np.flatnonzero((heights < rows) & (widths < columns))
    if not fits.size:
        return 0, 0, 0, 0
    height, width = int(heights[fits[0]]), int(widths[fits[0]])
    return int(numbers[0] * (rows - height + 1)), int(numbers[1] * (columns - width + 1)), height, width
