"""Augmentation: laws of each option, and the pixels of torchvision's own operations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision import transforms as reference

from dgreid.data.row_draws import StepDraws
from dgreid.data.transforms import IMAGENET_MEAN, IMAGENET_STD, TrainTransform, as_tensor, flip_rows, normalise, shift
from dgreid.errors import InputError

HEIGHT, WIDTH = 12, 7


def crops(count: int, low: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(5).integers(low, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8))


def draws(count: int, step: int = 0) -> StepDraws:
    return StepDraws(seed=1, domain="a", step=step, rows=range(count))


@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.booleans()), min_size=1, max_size=6),
)
@settings(deadline=None, derandomize=True, max_examples=50)
def test_shift_and_flip_equal_flip_pad_crop(pad, moves):
    moves = [(max(-pad, min(pad, y)), max(-pad, min(pad, x)), flip) for y, x, flip in moves]
    images = crops(len(moves))
    down, right, flips = (np.array(column) for column in zip(*moves, strict=True))
    result = shift(images, down, right)
    flip_rows(result, np.flatnonzero(flips))
    for image, moved, (y, x, flip) in zip(images, result, moves, strict=True):
        # The releases flip first; moving a mirrored image to the left is mirroring one moved to the right.
        picture = ImageOps.mirror(Image.fromarray(image)) if flip else Image.fromarray(image)
        padded = np.asarray(ImageOps.expand(picture, pad))
        top, left = pad - y, pad - (-x if flip else x)
        np.testing.assert_array_equal(moved, padded[top : top + HEIGHT, left : left + WIDTH])


def test_offsets_and_flips_are_fair():
    marked = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    marked[5, 2] = 200
    count, pad = 6000, 2
    images = TrainTransform(flip=0.3, pad=pad)([marked] * count, draws(count))
    _, rows, columns = np.nonzero(images.any(-1))
    np.testing.assert_allclose(np.bincount(rows, minlength=8)[3:8] / count, 1 / 5, atol=0.03)
    # Column 2 becomes 0..4, mirrored (column 4) 2..6.
    expected = [0.7, 0.7, 1, 1, 1, 0.3, 0.3]
    np.testing.assert_allclose(np.bincount(columns, minlength=7) / count, np.array(expected) / 5, atol=0.03)


def test_without_options_the_pixels_stay():
    images = crops(5)
    result = TrainTransform(flip=0, pad=0)(images, draws(5))
    np.testing.assert_array_equal(result, np.stack(images))
    assert not np.shares_memory(result, images[0])


def test_certain_flip_mirrors_all():
    images = crops(3)
    np.testing.assert_array_equal(TrainTransform(flip=1, pad=0)(images, draws(3)), np.stack(images)[:, :, ::-1])


@given(st.integers(1, 9), st.integers(0, 9))
@settings(deadline=None, derandomize=True, max_examples=30)
def test_a_row_depends_on_its_position_only(count, start):
    transform = TrainTransform(random_erasing=0.5, colour_jitter=0.3, pad=3)
    images = crops(20)
    whole = transform(images, draws(20))
    rows = range(start, start + count)
    part = transform(images[start : start + count], draws(20)._replace(rows=rows))
    np.testing.assert_array_equal(part, whole[start : start + count])


def test_steps_domains_and_seeds_differ():
    transform = TrainTransform(pad=3)
    images = crops(20)
    base = draws(20)
    for other in (base._replace(step=1), base._replace(domain="b"), base._replace(seed=2)):
        assert not np.array_equal(transform(images, base), transform(images, other))


def test_options_leave_the_geometry_alone():
    images = crops(40, low=1)
    plain = TrainTransform(pad=4)(images, draws(40))
    jittered = TrainTransform(pad=4, colour_jitter=0.4)(images, draws(40))
    erased = TrainTransform(pad=4, random_erasing=0.5)(images, draws(40))
    black = ~plain.any(-1)
    assert (jittered[black] == 0).all()
    changed = (erased != plain).any(-1)
    assert changed.any()
    assert (erased[changed] == (124, 116, 104)).all()


def test_inputs_are_not_changed():
    images = crops(10)
    before = np.stack(images)
    TrainTransform(random_erasing=1, colour_jitter=0.5)(images, draws(10))
    np.testing.assert_array_equal(np.stack(images), before)


def test_normalise_equals_torchvision():
    images = np.stack(crops(4))
    expected = torch.stack(
        [
            reference.Normalize(IMAGENET_MEAN, IMAGENET_STD)(reference.ToTensor()(Image.fromarray(image)))
            for image in images
        ]
    )
    result = normalise(as_tensor(images))
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_normalise_takes_other_constants():
    images = as_tensor(np.stack(crops(2)))
    torch.testing.assert_close(normalise(images, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), images / 127.5 - 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"flip": 1.5}, r"flip=1.5 must lie in \[0, 1\]"),
        ({"random_erasing": -0.1}, r"random_erasing=-0.1 must lie in \[0, 1\]"),
        ({"colour_jitter": 2}, r"colour_jitter=2 must lie in \[0, 1\]"),
        ({"pad": -1}, "pad=-1 must not be negative; 0 switches"),
    ],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        TrainTransform(**wrong)
