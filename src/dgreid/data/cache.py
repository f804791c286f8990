"""Resized crops on disk: one memory map for each set of images and size, shared by workers and ranks."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock

from dgreid.data.file_states import file_state, file_states
from dgreid.data.images import DOCTOR, CropReader, FileCrops, ImageError
from dgreid.data.resizing import Pixels
from dgreid.errors import InputError, nearest
from dgreid.files import write_atomically

Cache = Literal["none", "disk"]
CACHES: tuple[Cache, ...] = ("none", "disk")

FORMAT = "dgreid-crops-1"  # changes whenever the same files would give other pixels
CHUNK = 64  # images read and resized together while a cache is written


class CachedCrops:
    """Crops from a memory map; workers and ranks that open it share its pages.

    Args:
        file: a cache written by :func:`open_crops`.
        paths: the image of each row.
    """

    def __init__(self, file: Path, paths: Sequence[Path]) -> None:
        self.file = file
        self.rows = {path: row for row, path in enumerate(paths)}
        self._open()

    def __call__(self, paths: Sequence[Path]) -> Sequence[Pixels]:
        """One (height, width, 3) view of the map for each path."""
        return [self._crops[self.rows[path]] for path in paths]

    def __getstate__(self) -> dict[str, object]:
        # A pickled map would carry all its pixels to each worker.
        return {"file": self.file, "rows": self.rows}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        # Copy-on-write: torch refuses to look at read-only memory without a warning, and no write reaches the file.
        crops = np.load(self.file, mmap_mode="c")
        self._crops: Pixels = np.asarray(crops)  # plain views are several times cheaper to make than np.memmap's
        self.height, self.width = crops.shape[1:3]


def open_crops(paths: Iterable[Path], height: int, width: int, cache: Cache, folder: Path | None) -> CropReader:
    """A reader of images at one size.

    Args:
        paths: all images that will be asked for.
        height: rows of a crop.
        width: columns of a crop.
        cache: ``none`` decodes each time, and refuses files that have changed since; ``disk`` decodes once and keeps
            the crops in ``folder``.
        folder: where caches lie; None for ``dgreid/crops`` in the user's cache folder.

    Raises:
        InputError: no such kind of cache, an unreadable image, or no space for the cache.
    """
    if cache not in CACHES:
        raise InputError(f"cache={cache}: there is no such cache; {nearest(cache, CACHES)}")
    unique = list(dict.fromkeys(paths))
    if cache == "none":
        return FileCrops(height, width, file_states(unique))
    files = FileCrops(height, width)
    file = (folder or default_folder()) / f"{content_key(unique, height, width)}.npy"
    if not file.exists():
        _write(file, unique, files)
    return CachedCrops(file, unique)


def default_folder() -> Path:
    """``dgreid/crops`` in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dgreid" / "crops"


def content_key(paths: Sequence[Path], height: int, width: int) -> str:
    """Names a cache: a hash of image size and of each file's path, size and time of change.

    Raises:
        ImageError: a file is missing.
    """
    digest = hashlib.sha256(f"{FORMAT} {height} {width}\n".encode())
    for path in paths:
        try:
            state = file_state(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"cannot read image {path}: {reason}; restore the file; {DOCTOR}") from error
        digest.update(f"{path.absolute()} {state.size} {state.changed}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _write(file: Path, paths: Sequence[Path], crops: FileCrops) -> None:
    """Writes a cache once, whoever asks first; a process that is killed leaves nothing that is taken for a cache."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):  # the system releases it with its process
            if not file.exists():
                _remove_leftovers(file)
                _check_space(file.parent, len(paths) * crops.height * crops.width * 3)
                write_atomically(file, lambda temporary: _write_crops(temporary, paths, crops))
    except OSError as error:
        raise InputError(
            f"cache folder {file.parent} cannot be used: {error.strerror or error}; "
            "choose another cache_folder or set cache=none"
        ) from error


def _remove_leftovers(file: Path) -> None:
    for leftover in file.parent.glob(f".{file.stem}.*"):
        leftover.unlink(missing_ok=True)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"the cache needs {needed / 1e9:.2f} GB in {folder}, where {free / 1e9:.2f} GB are free; "
            "free space, choose another cache_folder or set cache=none"
        )


def _write_crops(file: Path, paths: Sequence[Path], crops: FileCrops) -> None:
    shape = (len(paths), crops.height, crops.width, 3)
    # Plain writes: a disk that fills up behind a memory map would kill the process without a message.
    with file.open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(paths), CHUNK):
            stream.write(np.stack(list(crops(paths[start : start + CHUNK]))).data)
        stream.flush()
        os.fsync(stream.fileno())
