"""Embeddings of query and gallery images as one .npz file, which any program can write and no net is needed to score.

Arrays of N rows: ``embedding`` (N, D), ``identity``, ``camera`` (-1 where unknown), ``split`` ("query" or "gallery")
and, optionally, ``path``. Optional single values: ``weights_hash``, ``list_hash`` and ``format``.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.archives import require_reasonable_size
from dgreid.errors import InputError
from dgreid.evaluation.labels import Numbers
from dgreid.files import write_atomically

FORMAT = 1
SUFFIX = ".npz"
QUERY, GALLERY = "query", "gallery"
NEEDED = ("embedding", "identity", "camera", "split")
OPTIONAL = ("path", "weights_hash", "list_hash", "format")
ROWS_AT_ONCE = 4096


class EmbeddingSet(NamedTuple):
    """Embeddings of query and gallery images, in any order.

    Attributes:
        embeddings: (N, D) float32, finite, of any length but best of length 1.
        identities: (N,) int64.
        cameras: (N,) int64, -1 where unknown.
        split: (N,) text, "query" or "gallery".
        paths: (N,) text, the image files, best relative to the data set's folder and with forward slashes; None if
            they are not known.
        weights_hash: tells apart what made the embeddings, for instance the sha256 of the net's weights; "" if unknown.
        list_hash: tells apart lists of images; "" if unknown.
    """

    embeddings: NDArray[np.float32]
    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]
    split: NDArray[np.str_]
    paths: NDArray[np.str_] | None = None
    weights_hash: str = ""
    list_hash: str = ""

    def rows(self, split: str) -> NDArray[np.int64]:
        """The rows of the queries or of the gallery, ascending."""
        return np.flatnonzero(self.split == split)

    def lists(self) -> EmbeddingSet:
        """All but the embeddings, of which no row is kept: small enough to hold on to."""
        return self._replace(embeddings=np.empty((0, self.embeddings.shape[1]), dtype=np.float32))


def require_new_file(path: Path) -> None:
    """Says before any work whether embeddings could be written there.

    Raises:
        InputError: the name does not end in .npz, or there is such a file or folder already.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: embeddings are written to a file whose name ends in {SUFFIX}")
    if path.exists():
        raise InputError(f"{path} exists already; remove it or choose another name")


def write_embeddings(path: Path, embeddings: EmbeddingSet) -> Path:
    """Writes the file atomically.

    Args:
        path: a new file, its name ends in .npz.
        embeddings: what to write.

    Raises:
        InputError: the file exists already, cannot be written, or what it would hold could not be read again.
    """
    require_new_file(path)
    checked = _checked(embeddings, path)
    arrays: dict[str, Any] = {
        "embedding": checked.embeddings,
        "identity": checked.identities,
        "camera": checked.cameras,
        "split": checked.split,
        "weights_hash": np.array(checked.weights_hash),
        "list_hash": np.array(checked.list_hash),
        "format": np.array(FORMAT),
    }
    if checked.paths is not None:
        arrays["path"] = checked.paths

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    return write_atomically(path, write)


def read_embeddings(path: Path) -> EmbeddingSet:
    """Reads a file of this or of another program; nothing in it is ever run.

    Args:
        path: the file. Floating point embeddings of any precision are taken as float32, integers of any width as int64.

    Raises:
        InputError: there is no such file, it is damaged or of another kind, or what it holds does not go together.
    """
    arrays = _read_arrays(path)
    found = arrays.get("format", np.array(FORMAT))
    if found.shape or found.dtype.kind not in "iu" or found != FORMAT:
        raise InputError(
            f"{path}: format is {found}, this version reads {FORMAT}; update dgreid or write the file anew"
        )
    hashes = {name: arrays.get(name, np.array("")) for name in ("weights_hash", "list_hash")}
    for name, value in hashes.items():
        if value.shape or value.dtype.kind != "U":
            raise InputError(f"{path}: {name} is {value.dtype} of shape {value.shape}; give one text or leave it out")
    lists = (arrays["identity"], arrays["camera"], arrays["split"], arrays.get("path"))
    return _checked(EmbeddingSet(arrays["embedding"], *lists, *(str(value) for value in hashes.values())), path)


def _read_arrays(path: Path) -> dict[str, Numbers]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file of embeddings")
    try:
        if not zipfile.is_zipfile(path):
            raise InputError(
                f"{path} is no {SUFFIX} file, or its end is missing; write one with numpy.savez, or copy it again"
            )
        require_reasonable_size(path)
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in NEEDED if name not in archive.files]
            if missing:
                raise InputError(
                    f"{path} lacks {', '.join(missing)}; a file of embeddings holds the arrays {', '.join(NEEDED)}, "
                    f"this one has {', '.join(archive.files[:10]) or 'none'}"
                )
            names = [name for name in (*NEEDED, *OPTIONAL) if name in archive.files]
            return {name: _read_array(path, archive, name) for name in names}
    except InputError:
        raise
    except Exception as error:  # a damaged directory or header can end in almost any error of the parsers
        raise InputError(f"{path} cannot be read ({error}); copy it again or write it anew") from error


def _read_array(path: Path, archive: np.lib.npyio.NpzFile, name: str) -> Numbers:
    try:
        array = archive[name]
    except Exception as error:  # likewise
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path}: {name} holds Python objects, which could run code when read; save numbers or text instead"
            ) from error
        raise InputError(f"{path}: {name} cannot be read ({error}); copy the file again or write it anew") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: {name} is no array; write the file with numpy.savez")
    return array


def _checked(given: EmbeddingSet, path: Path) -> EmbeddingSet:
    """The set in its own types.

    Raises:
        InputError: shapes, types or values that cannot be.
    """
    embeddings = given.embeddings
    if embeddings.ndim != 2 or not embeddings.size or embeddings.dtype.kind != "f":
        raise InputError(
            f"{path}: embedding is {embeddings.dtype} of shape {embeddings.shape}; "
            "give floating point numbers, a row for each image"
        )
    for name, values, kinds, wanted in (
        ("identity", given.identities, "iu", "integers (numpy.unique(..., return_inverse=True)[1] numbers names)"),
        ("camera", given.cameras, "iu", "integers, -1 where unknown"),
        ("split", given.split, "U", "text"),
        ("path", given.paths, "U", "text, or leave it out"),
    ):
        if values is not None and (values.shape != embeddings.shape[:1] or values.dtype.kind not in kinds):
            raise InputError(
                f"{path}: {name} is {values.dtype} of shape {values.shape}, "
                f"there are {len(embeddings)} rows of embeddings; give one each, {wanted}"
            )
    _check_split(given.split, path)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused as such
        embeddings = embeddings.astype(np.float32, copy=False)
    _check_finite(embeddings, path)
    return given._replace(
        embeddings=embeddings,
        identities=given.identities.astype(np.int64, copy=False),
        cameras=given.cameras.astype(np.int64, copy=False),
    )


def _check_split(split: NDArray[np.str_], path: Path) -> None:
    unknown = np.flatnonzero((split != QUERY) & (split != GALLERY))
    if unknown.size:
        row = int(unknown[0])
        raise InputError(f"{path}: split of row {row} is '{split[row]}'; each is '{QUERY}' or '{GALLERY}'")
    for name in (QUERY, GALLERY):
        if not (split == name).any():
            raise InputError(f"{path}: no row is '{name}'; scoring needs both queries and a gallery")


def _check_finite(embeddings: Numbers, path: Path) -> None:
    for start in range(0, len(embeddings), ROWS_AT_ONCE):  # in parts: no second matrix of their size
        wrong = np.flatnonzero(~np.isfinite(embeddings[start : start + ROWS_AT_ONCE]).all(axis=1))
        if wrong.size:
            raise InputError(f"{path}: embedding of row {start + int(wrong[0])} is NaN or infinite; find its image")
