"""Turns CUHK03's ``cuhk-03.mat`` into folders of PNG files, which read faster and which other code bases read too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from PIL import Image

from dgreid.data.cuhk03_mat import Crops, mat_crops, read_mat_image
from dgreid.data.domains import cuhk03_release as release
from dgreid.data.domains.base import DatasetError
from dgreid.data.domains.published import existing_data_root
from dgreid.errors import InputError


def find_mat(data_root: str | Path | None) -> Path:
    """The ``.mat`` in any of its places.

    Raises:
        DatasetError: it is in none of them.
    """
    folder = existing_data_root(data_root)
    roots = [folder / place for place in (*release.PLACES, ".")]
    found = (release.find_in_release(root, release.MAT) for root in roots)
    mat = next((path for path in found if path is not None), None)
    if mat is None:
        looked_at = "\n".join(f"  {root / release.MAT}" for root in (roots[0] / release.RELEASE, *roots))
        raise DatasetError(f"{release.MAT} was not found. Looked at:\n{looked_at}\nWhere to get it: {release.OBTAIN}")
    return mat


def extract(mat: Path, advance: Callable[[], None] = lambda: None) -> list[Path]:
    """Writes ``images_labeled/`` and ``images_detected/`` beside the ``.mat``.

    A folder appears when it is complete, and one that exists is left as it is.

    Args:
        mat: the ``cuhk-03.mat``.
        advance: called once for each image written.

    Returns:
        The folders written.

    Raises:
        InputError: both folders exist, or there is no room.
        DatasetError: the ``.mat`` cannot be read.
    """
    folders = {crops: mat.parent / release.crop_folder(crops) for crops in get_args(Crops)}
    missing = {crops: folder for crops, folder in folders.items() if not folder.exists()}
    if not missing:
        raise InputError(
            f"{mat.parent} has {' and '.join(f.name for f in folders.values())} already; remove them first"
        )
    for crops, folder in missing.items():
        try:
            _extract_crops(mat, crops, folder, advance)
        except OSError as error:
            raise InputError(f"{folder} cannot be written: {error.strerror or error}; about 2 GB are needed") from error
    return list(missing.values())


def _extract_crops(mat: Path, crops: Crops, folder: Path, advance: Callable[[], None]) -> None:
    names = mat_crops(mat, crops)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        for name in names:
            Image.fromarray(read_mat_image(name.path_in(mat, crops))).save(unfinished / f"{name.stem}.png")
            advance()
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
