"""Damaged images show before training."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dgreid.data.images import ImageError
from dgreid.data.verification import check_readable


@pytest.fixture
def images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 3), dtype=np.uint8)
    paths = [tmp_path / f"{number}.{suffix}" for number in range(4) for suffix in ("jpg", "png")]
    for path in paths:
        Image.fromarray(pixels).save(path)
    return paths


def test_sound_images_pass(images):
    check_readable(images)
    check_readable([])


def test_the_first_damaged_one_is_named_and_the_others_counted(images):
    images[3].write_bytes(images[3].read_bytes()[:60])
    with pytest.raises(ImageError, match=rf"cannot read image {images[3]}") as caught:
        check_readable(images)
    assert "more" not in str(caught.value)
    images[5].unlink()
    images[6].write_text("<html>not found</html>")
    said = rf"{images[3]}.*`python -m dgreid.data check` lists all such files of a data set; 2 more cannot be read"
    with pytest.raises(ImageError, match=said):
        check_readable(images)
