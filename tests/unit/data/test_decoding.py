"""Every kind of image file is read as Pillow reads it, or refused with the reason."""

from __future__ import annotations

import io
import resource
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dgreid.data.decoding import FORMATS, MOST_PIXELS, DecodingError, decode, is_turned


def picture(height=24, width=16, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pillow(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("L", "PNG", {}),
        ("LA", "PNG", {}),
        ("1", "PNG", {}),
        ("P", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("RGB", "BMP", {}),
        ("RGB", "GIF", {}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_kinds_equal_pillow(mode, kind, options):
    content = saved(picture().convert(mode), kind, **options)
    np.testing.assert_array_equal(decode(content), pillow(content))


@pytest.mark.filterwarnings("error")
def test_transparency_counts_as_opaque():
    pixels = np.array(picture().convert("RGBA"))
    pixels[..., 3] = 0
    np.testing.assert_array_equal(decode(saved(Image.fromarray(pixels), "PNG")), pixels[..., :3])
    palette = picture().quantize(16)
    content = saved(palette, "PNG", transparency=bytes([0, 128] * 8))
    np.testing.assert_array_equal(decode(content), np.asarray(palette.convert("RGB")))


def test_grey_of_16_bits_keeps_its_shades():
    grey = np.arange(24 * 16, dtype=np.uint16).reshape(24, 16) * 170
    for kind in ("PNG", "TIFF"):
        decoded = decode(saved(Image.fromarray(grey), kind))
        np.testing.assert_array_equal(decoded, np.repeat((grey // 256).astype(np.uint8)[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_32_bits_are_refused(mode):
    with pytest.raises(DecodingError, match="32 bits have no range that is agreed on; save it with 8 bits"):
        decode(saved(picture().convert("L").convert(mode), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_read(kind):
    frames = [picture(seed=number).quantize(255).convert("RGB") for number in range(3)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    with Image.open(io.BytesIO(content)) as image:
        assert image.n_frames == 3
    np.testing.assert_array_equal(decode(content), np.asarray(frames[0]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
def test_one_pixel(kind):
    assert decode(saved(picture(1, 1), kind)).shape == (1, 1, 3)


def test_exif_turns_nothing():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, upright = saved(picture(), "JPEG", exif=exif), saved(picture(), "JPEG")
    np.testing.assert_array_equal(decode(turned), decode(upright))
    assert (is_turned(turned), is_turned(upright), is_turned(b"no image")) == (True, False, False)


def png_that_says(height, width):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_that_says(height, width):
    content = saved(picture(16, 16), "JPEG")
    start = content.index(b"\xff\xc0") + 5
    return content[:start] + struct.pack(">HH", height, width) + content[start + 4 :]


@pytest.mark.parametrize("bomb", [png_that_says, jpeg_that_says])
def test_a_decompression_bomb_is_refused_before_it_takes_memory(bomb):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DecodingError, match=r"it has more than the 67,108,864 pixels that are read.*; make it smaller"):
        decode(bomb(20_000, 20_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**10  # KiB; the pixels are 1.2 GB
    with pytest.raises(DecodingError, match=r"more than .* read, 4,096 x 16,385; make"):
        decode(bomb(MOST_PIXELS // 4096 + 1, 4096))


def test_a_truncated_jpeg_is_not_filled_with_grey():
    content = saved(picture(64, 64), "JPEG")
    for length in (2, 20, len(content) // 2, len(content) - 10):
        with pytest.raises(DecodingError):
            decode(content[:length])


def test_a_cut_off_png_is_refused():
    content = saved(picture(64, 64), "PNG")
    for length in (4, 30, len(content) // 2):
        with pytest.raises(DecodingError):
            decode(content[:length])


@pytest.mark.parametrize(("content", "reason"), [(b"", "the file is empty"), (b"<html>", "no image of a known format")])
def test_what_is_no_image_says_so(content, reason):
    with pytest.raises(DecodingError, match=reason):
        decode(content)


def test_nothing_is_handed_to_other_programs(monkeypatch):
    """Pillow gives EPS to Ghostscript, which runs what the file says."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", None)
    monkeypatch.setattr("subprocess.check_call", None)
    with pytest.raises(DecodingError, match="no image of a known format"):
        decode(saved(picture(), "EPS"))
    assert "EPS" not in FORMATS


SOUND = [saved(picture(), kind) for kind in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")]


@given(st.sampled_from(SOUND), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6),
       st.integers(0, 10**6))  # fmt: skip
@settings(deadline=None, derandomize=True, max_examples=300)
@pytest.mark.filterwarnings("ignore")
def test_damage_gives_pixels_or_a_reason_of_one_line(content, changes, length):
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    damaged = bytes(damaged[: length % (2 * len(damaged))])
    try:
        pixels = decode(damaged)
    except DecodingError as error:
        reason = str(error)
    else:
        assert (pixels.dtype, pixels.shape[2:]) == (np.uint8, (3,))
        return
    assert reason
    assert "\n" not in reason
