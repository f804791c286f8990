"""Reading every image once, so that a damaged one shows before hours of training and not after."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dgreid.data.images import ImageError, read_image

THREADS = 8  # decoding and reading release the interpreter's lock


def check_readable(paths: Sequence[Path]) -> None:
    """Decodes all images.

    Args:
        paths: image files; about 0.1 ms each on one core, longer where the disk has to fetch them first.

    Raises:
        ImageError: the first that cannot be read, and how many others there are.
    """
    errors = list(unreadable(paths).values())
    if errors:
        others = f"; {len(errors) - 1} more cannot be read" if errors[1:] else ""
        raise ImageError(f"{errors[0]}{others}")


def unreadable(paths: Sequence[Path]) -> dict[Path, ImageError]:
    """Decodes all images; those that cannot be read, each with the reason."""
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        errors = zip(paths, pool.map(_error, paths), strict=True)
        return {path: error for path, error in errors if error is not None}


def _error(path: Path) -> ImageError | None:
    try:
        read_image(path)
    except ImageError as error:
        return error
    return None
