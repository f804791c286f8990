"""Image files to crops of one size, and what to say of files that are none."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from dgreid.data.decoding import DecodingError, decode
from dgreid.data.file_states import FileState, file_state
from dgreid.data.resizing import Pixels, resize, resize_stack
from dgreid.errors import InputError

DOCTOR = "`python -m dgreid.data check` lists all such files of a data set"
LARGE = 2**20  # pixels; a batch of photos would need gigabytes before it is resized


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
        states: of files that must stay as they are; others may change.
    """

    def __init__(self, height: int, width: int, states: Mapping[Path, FileState] | None = None) -> None:
        self.height = height
        self.width = width
        self.states = states or {}

    def __call__(self, paths: Sequence[Path]) -> Sequence[Pixels]:
        """One (height, width, 3) uint8 RGB array for each path; images of one size are resized together.

        Raises:
            ImageError: a file is missing or no image, or is no longer what it was.
        """
        crops = [self._read(path) for path in paths]
        for rows in _by_shape(crops):
            if crops[rows[0]].shape[:2] == (self.height, self.width):
                continue
            stack = np.stack([crops[row] for row in rows])
            for row, crop in zip(rows, resize_stack(stack, self.height, self.width), strict=True):
                crops[row] = crop
        return crops

    def _read(self, path: Path) -> Pixels:
        image = read_image(path)
        if path in self.states:
            refuse_changed(path, self.states[path])
        return resize(image, self.height, self.width) if image.shape[0] * image.shape[1] > LARGE else image


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
        (H, W, 3) uint8 RGB, see :func:`dgreid.data.decoding.decode`.

    Raises:
        ImageError: the file is missing, damaged or no image.
    """
    if f".mat{os.sep}" in str(path):
        from dgreid.data.cuhk03_mat import read_mat_image  # h5py loads only where such a file is used

        return read_mat_image(path)
    return decoded(read_file(path), path)


def read_file(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        ImageError: they cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"cannot read image {path}: {reason}; restore the file; {DOCTOR}") from error


def decoded(content: bytes, path: Path) -> Pixels:
    """Pixels of a file's bytes.

    Raises:
        ImageError: they are no image that can be read.
    """
    try:
        return decode(content)
    except DecodingError as error:
        raise ImageError(f"cannot read image {path}: {error}; restore or remove the file; {DOCTOR}") from error


def refuse_changed(path: Path, before: FileState) -> None:
    """Refuses a file that is no longer what it was when the run began.

    Raises:
        ImageError: its size or the time of its last change is another.
    """
    try:
        now = file_state(path)
    except OSError as error:
        raise ImageError(f"cannot read image {path}: {error.strerror or error}; restore the file; {DOCTOR}") from error
    if now != before:
        raise ImageError(
            f"image {path} was exchanged since this run began ({before.size:,} bytes then, {now.size:,} now): what it "
            "computes would belong to no data set; put the old file back, or start the run anew"
        )
