"""Images have Pillow's pixels, and what is no image is named."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dgreid.data.images import FileCrops, ImageError, read_image
from dgreid.errors import InputError


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(1, 100), st.sampled_from([0, 1, 2]), st.booleans()
)
@settings(deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_jpeg_equals_pillow(tmp_path, size, quality, subsampling, progressive):
    path = tmp_path / "image.jpg"
    # A buffer of its own size: Pillow's encoder refuses some tiny progressive images otherwise.
    noise(*size).save(path, quality=quality, subsampling=subsampling, progressive=progressive and min(size) > 16)
    np.testing.assert_array_equal(read_image(path), pillow(path))


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "jpg"), ("CMYK", "jpg"), ("RGB", "png"), ("P", "png"), ("RGBA", "png"), ("RGB", "bmp")]
)
def test_other_modes_and_formats_equal_pillow(tmp_path, mode, suffix):
    path = tmp_path / f"image.{suffix}"
    noise(21, 13).convert(mode).save(path)
    assert read_image(path).shape == (21, 13, 3)
    np.testing.assert_array_equal(read_image(path), pillow(path))


def test_a_png_under_a_jpeg_name_is_read(tmp_path):
    path = tmp_path / "image.jpg"
    noise(8, 8).save(path, format="PNG")
    np.testing.assert_array_equal(read_image(path), pillow(path))


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "missing", "folder"])
def test_an_unreadable_image_is_named(tmp_path, damage):
    path = tmp_path / "broken.jpg"
    if damage == "truncated":
        noise(64, 32).save(path)
        path.write_bytes(path.read_bytes()[:700])
    elif damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(b"" if damage == "empty" else b"<html>no image</html>")
    with pytest.raises(
        ImageError, match=r"cannot read image .*broken\.jpg: .*; restore .*`python -m dgreid\.data check` lists"
    ):
        read_image(path)


def test_a_worker_s_stack_is_not_part_of_the_message():
    error = ImageError("cannot read image a.jpg: truncated")
    again = ImageError(f"Caught ImageError in DataLoader worker process 0.\nTraceback ...\nx.ImageError: {error}\n")
    assert str(again) == str(error)
    assert isinstance(error, InputError)


def test_an_image_inside_a_mat_file_goes_to_its_reader(tmp_path, monkeypatch):
    pixels = np.zeros((3, 2, 3), dtype=np.uint8)
    asked = []
    monkeypatch.setattr("dgreid.data.cuhk03_mat.read_mat_image", lambda path: asked.append(path) or pixels)
    inside = tmp_path / "cuhk-03.mat" / "detected" / "1" / "001" / "01"
    assert read_image(inside) is pixels
    assert asked == [inside]


def test_crops_of_mixed_sizes_come_in_order(tmp_path):
    sizes = [(32, 16), (20, 30), (64, 32), (32, 16), (20, 30)]
    paths = []
    for number, size in enumerate(sizes):
        paths.append(tmp_path / f"{number}.png")
        noise(*size, seed=number).save(paths[-1])
    for path, crop in zip(paths, FileCrops(64, 32)(paths), strict=True):
        with Image.open(path) as image:
            np.testing.assert_array_equal(crop, np.asarray(image.resize((32, 64), Image.Resampling.BICUBIC)))


def test_images_can_be_read_in_another_process(tmp_path):
    noise(128, 64).save(tmp_path / "image.jpg")
    crops = FileCrops(256, 128)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (theirs,) = pool.apply(crops, ([tmp_path / "image.jpg"],))
    np.testing.assert_array_equal(theirs, crops([tmp_path / "image.jpg"])[0])


def test_a_batch_of_photos_is_resized_one_by_one(tmp_path, monkeypatch):
    photo = tmp_path / "photo.jpg"
    noise(1100, 1000).save(photo)
    kept = []
    monkeypatch.setattr("dgreid.data.images.resize_stack", lambda *args: kept.append(args))
    (crop,) = FileCrops(64, 32)([photo])
    assert not kept, "large images do not wait for others of their size"
    with Image.open(photo) as image:
        np.testing.assert_array_equal(crop, np.asarray(image.resize((32, 64), Image.Resampling.BICUBIC)))
