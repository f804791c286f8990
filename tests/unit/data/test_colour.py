"""Colour jitter against Pillow's enhancers."""

import numpy as np
from PIL import Image, ImageEnhance

from dgreid.data.colour import jitter


def test_equals_pillow_s_enhancers_to_their_rounding():
    rng = np.random.default_rng(0)
    images, numbers = list(rng.integers(0, 256, (6, 20, 10, 3), dtype=np.uint8)), rng.random((6, 3))
    for image, (b, c, s), result in zip(images, 0.6 + 0.8 * numbers, jitter(images, 0.4, numbers), strict=True):
        expected = ImageEnhance.Brightness(Image.fromarray(image)).enhance(b)
        expected = ImageEnhance.Contrast(expected).enhance(c)
        expected = np.asarray(ImageEnhance.Color(expected).enhance(s)).astype(int)
        # Pillow truncates to whole levels after each of the three, and takes a whole grey level as mean.
        assert np.abs(expected - result).max() <= 4
        assert np.abs(expected - result).mean() < 1.5


def test_factors_of_one_change_nothing():
    images = list(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8))
    np.testing.assert_array_equal(np.stack(jitter(images, 0.4, np.full((2, 3), 0.5))), np.stack(images))
