"""Image files to uint8 pixels, equal to what Pillow makes of them, several times faster for JPEG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import simplejpeg
from PIL import Image

from dgreid.data.resizing import Pixels, resize_stack
from dgreid.errors import InputError

JPEG_START = b"\xff\xd8\xff"
# simplejpeg converts these two as Pillow does; CMYK and the like go to Pillow.
PLAIN_COLOURSPACES = frozenset({"YCbCr", "Gray"})


class ImageError(InputError):
    """An image cannot be read; the message names its path."""

    def __init__(self, message: str) -> None:
        # A DataLoader worker raises its error again with a stack for a message; the user needs the last line of it.
        super().__init__(message.strip().rpartition("ImageError: ")[2])


class CropReader(Protocol):
    """From paths of images to their pixels at one fixed size."""

    height: int
    width: int

    def __call__(self, paths: Sequence[Path]) -> Sequence[Pixels]:
        """One (height, width, 3) uint8 RGB array for each path, not to be written to."""


class FileCrops:
    """Reads and resizes image files.

    Args:
        height: rows of a crop, in pixels.
        width: columns of a crop.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width

    def __call__(self, paths: Sequence[Path]) -> Sequence[Pixels]:
        """One (height, width, 3) uint8 RGB array for each path; images of one size are resized together.

        Raises:
            ImageError: a file is missing or no image.
        """
        crops = [read_image(path) for path in paths]
        for rows in _by_shape(crops):
            if crops[rows[0]].shape[:2] == (self.height, self.width):
                continue
            stack = np.stack([crops[row] for row in rows])
            for row, crop in zip(rows, resize_stack(stack, self.height, self.width), strict=True):
                crops[row] = crop
        return crops


def _by_shape(images: Sequence[Pixels]) -> list[list[int]]:
    rows: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(image.shape, []).append(row)
    return list(rows.values())


def read_image(path: Path) -> Pixels:
    """Decodes an image.

    Args:
        path: an image file, or ``<file>.mat/...`` for an image inside the raw CUHK03 file.

    Returns:
        (H, W, 3) uint8 RGB, equal to ``PIL.Image.open(path).convert("RGB")``.

    Raises:
        ImageError: the file is missing, damaged or no image.
    """
    if f".mat{os.sep}" in str(path):
        from dgreid.data.cuhk03_mat import read_mat_image  # h5py loads only where such a file is used

        return read_mat_image(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read image {path}: {error.strerror or error}; restore the file") from error
    pixels = _decode_jpeg(content) if content.startswith(JPEG_START) else None
    return _decode_with_pillow(path) if pixels is None else pixels


def _decode_jpeg(content: bytes) -> Pixels | None:
    """(H, W, 3), or None for a JPEG that simplejpeg refuses."""
    try:
        _, _, colourspace, _ = simplejpeg.decode_jpeg_header(content)
        return simplejpeg.decode_jpeg(content, "RGB") if colourspace in PLAIN_COLOURSPACES else None
    except ValueError:
        return None


def _decode_with_pillow(path: Path) -> Pixels:
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"cannot read image {path}: {_first_line(error)}; restore or remove the file") from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
