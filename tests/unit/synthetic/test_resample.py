import math

import numpy as np
import pytest

from dgreid.synthetic.resample import blur, resample


def picture(height=7, width=5):
    return np.random.default_rng(0).random((3, height, width), dtype=np.float32)


def slow_bilinear(source, size, box):
    """Each target pixel's centre, mapped into the box, weighs its four neighbours by distance."""
    top, left, height, width = box
    out = np.zeros((3, *size))
    for row in range(size[0]):
        for column in range(size[1]):
            y = top + (row + 0.5) * height / size[0] - 0.5
            x = left + (column + 0.5) * width / size[1] - 0.5
            for dy in (0, 1):
                for dx in (0, 1):
                    j, i = math.floor(y) + dy, math.floor(x) + dx
                    weight = (1 - abs(y - j)) * (1 - abs(x - i))
                    j, i = min(max(j, 0), source.shape[1] - 1), min(max(i, 0), source.shape[2] - 1)
                    out[:, row, column] += weight * source[:, j, i]
    return out


@pytest.mark.parametrize("size", [(7, 5), (14, 9), (4, 3)])
@pytest.mark.parametrize("box", [(0.0, 0.0, 7.0, 5.0), (1.3, 0.7, 4.1, 3.9), (-1.0, -1.0, 9.0, 7.0)])
def test_resample_against_the_definition(size, box):
    np.testing.assert_allclose(resample(picture(), size, box), slow_bilinear(picture(), size, box), atol=1e-5)


def test_resampling_to_the_same_size_changes_nothing():
    np.testing.assert_array_equal(resample(picture(), (7, 5), (0.0, 0.0, 7.0, 5.0)), picture())


def test_blur_against_the_definition():
    padded = np.pad(picture().astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="edge")
    kernel = np.array([0.2, 0.6, 0.2])
    expected = np.zeros((3, 7, 5))
    for j in range(3):
        for i in range(3):
            expected += kernel[j] * kernel[i] * padded[:, j : j + 7, i : i + 5]
    np.testing.assert_allclose(blur(picture(), 0.2), expected, atol=1e-5)


def test_no_blur():
    np.testing.assert_array_equal(blur(picture(), 0.0), picture())
