"""CUHK03's ``cuhk-03.mat``: a MATLAB 7.3 (HDF5) file that holds all images.

An image in it has a path of its own, ``.../cuhk-03.mat/detected/3/017/05``: crops, camera pair (1..5), person of the
pair (1..), number (1..10; 1-5 are view 1, 6-10 view 2), as in the names ``3_017_1_05.png`` of extracted images.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.data.domains.base import DatasetError

if TYPE_CHECKING:
    import h5py

Crops = Literal["detected", "labeled"]
IMAGES_PER_VIEW = 5
MOST_VALUES = 3 * 2**26  # of an image; a file of some hundred bytes can say that it has any number
HTML_BEGINNINGS = (b"<!doctype", b"<html", b"<head", b"<?xml")
_open_files: dict[str, h5py.File] = {}


class CropName(NamedTuple):
    """Which image of CUHK03 it is; all numbers count from 1."""

    pair: int
    person: int
    number: int

    @property
    def view(self) -> int:
        """Camera of the pair, 1 or 2."""
        return 1 if self.number <= IMAGES_PER_VIEW else 2

    @property
    def stem(self) -> str:
        """Name of the extracted image, without suffix."""
        return f"{self.pair}_{self.person:03d}_{self.view}_{self.number:02d}"

    def path_in(self, mat: Path, crops: Crops) -> Path:
        """The image's own path inside the .mat file."""
        return mat / crops / str(self.pair) / f"{self.person:03d}" / f"{self.number:02d}"


def refuse_web_page(path: Path) -> None:
    """Refuses what a download page leaves behind under a data file's name.

    Raises:
        DatasetError: the file is missing, empty, or an HTML page.
    """
    if not path.is_file():
        raise DatasetError(f"{path} is missing; it comes with CUHK03, on request from its authors")
    with path.open("rb") as file:
        beginning = file.read(512).lstrip().lower()
    if not beginning or beginning.startswith(HTML_BEGINNINGS):
        raise DatasetError(
            f"{path} is {'an HTML page' if beginning else 'empty'}, not data: the link led to a download page. "
            "Open the link in a browser, log in or confirm the download there, and replace the file"
        )


def read_mat_image(path: Path) -> NDArray[np.uint8]:
    """Pixels of an image inside ``cuhk-03.mat``.

    Safe in forked and spawned workers: each process opens the file for itself and keeps it open.

    Args:
        path: the image's own path, see the module's docstring.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        DatasetError: the file is missing or no such .mat, or it has no such image.
    """
    mat = next((parent for parent in path.parents if parent.suffix == ".mat"), None)
    if mat is None:
        raise DatasetError(f"{path} lies in no .mat file")
    file = _opened(mat)
    try:
        crops, pair, person, number = path.relative_to(mat).parts
        # MATLAB stores column-major: every array arrives with its axes reversed.
        cells = file[file[crops][0][int(pair) - 1]]
        image = file[cells[int(number) - 1, int(person) - 1]]
        if image.size > MOST_VALUES:
            raise ValueError(f"{image.shape}")
        pixels: NDArray[np.uint8] = np.ascontiguousarray(image[()].T)
    except (KeyError, IndexError, ValueError) as error:
        raise DatasetError(f"{path} names no image of {mat.name}: <crops>/<pair>/<person>/<number>") from error
    except (OSError, RuntimeError, TypeError, AttributeError) as error:  # whatever HDF5 finds in damaged bytes
        raise DatasetError(f"{path} cannot be read, {mat.name} is damaged ({error}); download it again") from error
    if pixels.ndim != 3:
        raise DatasetError(f"{path} is empty: this person has fewer images; list the domain again")
    return pixels


def mat_crops(mat: Path, crops: Crops) -> list[CropName]:
    """All images of a kind of crops, in order.

    Raises:
        DatasetError: the file is missing, a web page, damaged, or without these crops.
    """
    with _reading(mat) as file:
        return [
            CropName(pair, person, number)
            for pair, cells in enumerate(_cells(file, mat, crops), start=1)
            for person, row in enumerate(cells.T, start=1)
            for number, reference in enumerate(row, start=1)
            if file[reference].ndim == 3
        ]


def mat_people(mat: Path) -> list[int]:
    """How many persons each camera pair shows.

    Raises:
        DatasetError: as ``mat_crops``.
    """
    with _reading(mat) as file:
        return [cells.shape[1] for cells in _cells(file, mat, "labeled")]


def mat_test_sets(mat: Path) -> list[list[tuple[int, int]]]:
    """The (pair, person) of the test identities of each of the 20 classic splits.

    Raises:
        DatasetError: as ``mat_crops``.
    """
    with _reading(mat) as file:
        return [[(int(pair), int(person)) for pair, person in cells.T] for cells in _cells(file, mat, "testsets")]


def _open(mat: Path) -> h5py.File:
    import h5py

    refuse_web_page(mat)
    try:
        return h5py.File(mat, "r")
    except OSError as error:
        raise DatasetError(f"{mat} is no MATLAB 7.3 file, or was cut off ({error}); download it again") from error


@contextmanager
def _reading(mat: Path) -> Iterator[h5py.File]:
    with _open(mat) as file:
        try:
            yield file
        except DatasetError:
            raise
        except Exception as error:  # HDF5 and h5py raise whatever the damaged bytes suggest
            raise DatasetError(f"{mat} is damaged, or is not CUHK03's cuhk-03.mat ({error!r})") from error


def _opened(mat: Path) -> h5py.File:
    key = str(mat)
    if key not in _open_files:
        _open_files[key] = _open(mat)
    return _open_files[key]


def _close_all() -> None:
    while _open_files:
        _open_files.popitem()[1].close()


def _cells(file: h5py.File, mat: Path, name: str) -> Iterator[NDArray[Any]]:
    if name not in file:
        raise DatasetError(f"{mat} has no {name!r}: it is not CUHK03's cuhk-03.mat; it has {sorted(file)}")
    return (file[reference][()] for reference in file[name][0])


# A forked process would share HDF5's state and file position with its parent: nothing is open when a process forks.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_all)
