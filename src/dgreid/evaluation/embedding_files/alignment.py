"""Files of embeddings by several methods: the same images in the same order, or no comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.embedding_files.embedding_file import SUFFIX, EmbeddingSet


def method_files(places: Sequence[Path]) -> dict[str, Path]:
    """Files by name of their method, which is the file's name without .npz.

    Args:
        places: files, and folders whose .npz files are meant, in the order of their names.

    Raises:
        InputError: no such file, a folder without any, or two of one name.
    """
    files: dict[str, Path] = {}
    for place in places:
        found = sorted(place.glob(f"[!.]*{SUFFIX}")) if place.is_dir() else [place]
        if not found:
            raise InputError(f"{place}: no {SUFFIX} file in this folder; give files of embeddings or a folder of them")
        for path in found:
            if path.stem in files:
                raise InputError(f"{files[path.stem]} and {path}: two methods are called {path.stem}; rename a file")
            if not path.is_file():
                raise InputError(f"{path}: there is no such file of embeddings")
            files[path.stem] = path
    return files


def rows_like(reference: EmbeddingSet, given: EmbeddingSet, split: str, names: tuple[str, str]) -> NDArray[np.int64]:
    """The rows of a set that hold a reference's queries, or its gallery, in the reference's order.

    Images are told apart by their paths where both sets have them; equal paths of one split pair up in their order.
    Where one has no paths, the images must come in the same order, of which identities and cameras are the proof.

    Args:
        reference: whose order counts.
        given: the set looked into.
        split: "query" or "gallery".
        names: of the reference and of the set, for the messages.

    Raises:
        InputError: the two do not list the same images, or differ in who is on one or which camera took it.
    """
    theirs, ours = reference.rows(split), given.rows(split)
    if theirs.size != ours.size:
        raise InputError(
            f"{names[1]} has {ours.size} {split} images and {names[0]} {theirs.size}; "
            "methods are compared on the same images: score the files one at a time, or write one anew"
        )
    if reference.paths is not None and given.paths is not None:
        ours = ours[_order_like(reference.paths[theirs], given.paths[ours], split, names)]
    for what, expected, found in (
        ("identity", reference.identities[theirs], given.identities[ours]),
        ("camera", reference.cameras[theirs], given.cameras[ours]),
    ):
        different = np.flatnonzero(expected != found)
        if different.size:
            place = int(different[0])
            raise InputError(
                f"{names[1]}: {what} of {split} image {place}{_path(reference, theirs[place])} is {found[place]}, "
                f"in {names[0]} it is {expected[place]} ({different.size} of {ours.size} differ); methods are compared "
                "on the same images in the same order (any order, if both files have paths)"
            )
    return ours


def _order_like(
    expected: NDArray[np.str_], found: NDArray[np.str_], split: str, names: tuple[str, str]
) -> NDArray[np.int64]:
    """Positions in ``found`` of the paths in ``expected``."""
    if np.array_equal(expected, found):
        return np.arange(expected.size)
    by_path, by_own_path = np.argsort(expected, kind="stable"), np.argsort(found, kind="stable")
    if not np.array_equal(expected[by_path], found[by_own_path]):
        raise InputError(
            f"{names[1]} and {names[0]} list different {split} images: {_only_in(found, expected, names[1])}; "
            f"{_only_in(expected, found, names[0])}. Methods are compared on the same images under the same paths"
        )
    order = np.empty_like(by_path)
    order[by_path] = by_own_path
    return order


def _only_in(paths: NDArray[np.str_], others: NDArray[np.str_], name: str) -> str:
    only = np.setdiff1d(paths, others)
    return f"{only.size} paths are only in {name}" + (f", such as {only[0]}" if only.size else "")


def _path(reference: EmbeddingSet, row: np.int64) -> str:
    return "" if reference.paths is None else f" ({reference.paths[row]})"
