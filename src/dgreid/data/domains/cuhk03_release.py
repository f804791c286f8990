"""CUHK03's folder: the ``.mat`` with all images, extracted crops, split files, wherever the known layouts have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dgreid.data.cuhk03_mat import Crops, mat_crops, refuse_web_page
from dgreid.data.domains.base import DatasetError, Subset
from dgreid.data.domains.files import image_files
from dgreid.data.mat5 import read_mat5

RELEASE = "cuhk03_release"
MAT = "cuhk-03.mat"
PLACES = ("cuhk03", RELEASE)
CROP_NAME = re.compile(r"([1-9]\d{0,2})_(?!0+_)(\d{3,6})_([12])_\d{2,6}")
OBTAIN = "on request from CUHK (a form on the authors' page)"


def find_in_release(root: Path, name: str) -> Path | None:
    """A file or folder of the release: in ``root``, in its ``cuhk03_release`` folder, or beside the latter.

    The split files of the new protocol lie beside ``cuhk03_release``, which may be the root itself.
    """
    outer = (root.parent,) if root.name == RELEASE else ()
    return next((folder / name for folder in (root / RELEASE, root, *outer) if (folder / name).exists()), None)


def crop_folder(crops: Crops) -> str:
    """Folder of extracted images, as other code bases name it too."""
    return f"images_{crops}"


def has_crops(root: Path, crops: Crops) -> bool:
    """Whether the images are there, extracted or in the ``.mat``."""
    return any((folder / name).exists() for folder in (root, root / RELEASE) for name in (crop_folder(crops), MAT))


def list_crops(root: Path, crops: Crops, domain: str) -> Mapping[str, Path]:
    """Images by stem (``1_001_1_01``): extracted ones if there are, else those in the ``.mat``.

    Raises:
        DatasetError: there are neither, or the ``.mat`` cannot be read.
    """
    for folder in (root / RELEASE, root):
        if (folder / crop_folder(crops)).is_dir():
            return {path.stem: path for path in image_files(folder / crop_folder(crops), domain)}
    mat = find_in_release(root, MAT)
    if mat is None:
        raise DatasetError(f"{domain}: {root} has neither {crop_folder(crops)}/ nor {MAT}; get it {OBTAIN}")
    return {name.stem: name.path_in(mat, crops) for name in mat_crops(mat, crops)}


def crop_numbers(stem: str, path: Path, domain: str) -> tuple[int, int, int]:
    """Pair, person and view of ``<pair>_<person>_<view>_<number>``, all from 1; the protocols' camera is the view.

    Raises:
        DatasetError: it is no such name.
    """
    found = CROP_NAME.fullmatch(stem)
    if found is None:
        raise DatasetError(f"{domain}: {path} is not named as a crop of CUHK03 is (1_001_1_01); remove it")
    pair, person, view = (int(number) for number in found.groups())
    return pair, person, view


def read_new_protocol(root: Path, crops: Crops, domain: str) -> Mapping[Subset, list[tuple[str, int]]]:
    """The 767/700 split (Zhong et al., CVPR 2017): stem and identity of the images of each subset.

    Raises:
        DatasetError: the split file is missing, a web page, or something else.
    """
    name = f"cuhk03_new_protocol_config_{crops}.mat"
    split_file = find_in_release(root, name)
    if split_file is None:
        raise DatasetError(
            f"{domain}: the split file {name} is missing; it belongs in {root} (public: folder evaluation/data/CUHK03 "
            "of the GitHub repository zhunzhong07/person-re-ranking)"
        )
    split = _load_mat(split_file)
    try:
        stems = [Path(name).stem for name in split["filelist"]]
        labels = [int(label) for label in split["labels"].ravel()]
        subsets: Mapping[Subset, Any] = {s: split[f"{s}_idx"].ravel() for s in ("train", "query", "gallery")}
        if any(int(i) < 1 for rows in subsets.values() for i in rows):
            raise IndexError("numbers of images begin at 1")
        return {s: [(stems[int(i) - 1], labels[int(i) - 1]) for i in rows] for s, rows in subsets.items()}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(f"{split_file} is not the split file {name}: {error!r}; download it again") from error


def _load_mat(path: Path) -> Mapping[str, Any]:
    refuse_web_page(path)
    try:
        return read_mat5(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as a MATLAB file ({error}); download it again") from error
