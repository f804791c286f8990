"""A note at the end of an index file: what an index is and how much it finds, in one file with it.

faiss reads a file from its beginning and does not look at what follows. The note is an npz archive, then its length
(8 bytes, little-endian) and eight letters. Written last, it also shows that the file is whole.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dgreid.archives import require_reasonable_size
from dgreid.errors import InputError
from dgreid.evaluation.labels import Numbers
from dgreid.files import write_atomically

LETTERS = b"DGREIDIX"
END = struct.Struct("<Q8s")
FORMAT = 1
SETTINGS = {"kind": str, "float16": bool, "parameters": str, "recall": list}
PROBE = {"vectors": ("f4", 2), "own": ("i8", 1), "scores": ("f4", 2), "indices": ("i8", 2)}


def write_with_note(
    path: Path, write: Callable[[str], None], settings: Mapping[str, Any], arrays: Mapping[str, Numbers]
) -> Path:
    """Writes an index and a note behind it, atomically; replaces a file with such a note, and nothing else.

    Args:
        path: the file.
        write: writes the index to a file of the name it is given, or raises a RuntimeError.
        settings: anything that JSON can hold.
        arrays: of numbers.

    Raises:
        InputError: the file cannot be written, or there is one that is no index.
    """
    if path.exists():
        _archive(path)

    def write_both(temporary: Path) -> None:
        try:
            write(str(temporary))
        except RuntimeError as error:
            raise OSError(faiss_reason(error)) from error
        archive = io.BytesIO()
        content: dict[str, Any] = {"settings": np.array(json.dumps({"format": FORMAT, **settings})), **arrays}
        np.savez(archive, **content)
        with temporary.open("ab") as file:
            file.write(archive.getbuffer())
            file.write(END.pack(archive.getbuffer().nbytes, LETTERS))

    return write_atomically(path, write_both)


def read_note(path: Path) -> tuple[dict[str, Any], dict[str, Numbers]]:
    """The settings and arrays at the end of a file; nothing in it is executed.

    Raises:
        InputError: there is no such file, it does not end in a note, or in one of another format.
    """
    archive = _archive(path)
    try:
        require_reasonable_size(io.BytesIO(archive))
        with np.load(io.BytesIO(archive), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        settings = json.loads(str(arrays.pop("settings")))
        form = settings["format"]
        if form == FORMAT:
            _check(settings, arrays)
    except Exception as error:  # a damaged archive can end in almost any error of its parsers
        raise InputError(f"{path} is damaged ({error}); build it again") from error
    if form != FORMAT:
        raise InputError(f"{path} has format {form}, this version reads {FORMAT}; build it again")
    return settings, arrays


def _check(settings: Mapping[str, Any], arrays: Mapping[str, Numbers]) -> None:
    """Refuses settings and arrays of another kind.

    Raises:
        ValueError: naming the first.
    """
    for name, kind in SETTINGS.items():
        if type(settings[name]) is not kind:
            raise ValueError(f"{name} is {settings[name]!r}")
    at_1, at_10, queries = settings["recall"]
    if not isinstance(at_1 + at_10, float) or type(queries) is not int:
        raise ValueError(f"recall is {settings['recall']}")
    shapes = {name: (array.dtype, array.ndim) for name, array in arrays.items()}
    if arrays and shapes != {name: (np.dtype(kind), ndim) for name, (kind, ndim) in PROBE.items()}:
        raise ValueError(f"arrays are {shapes}")


def _archive(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - END.size))
            tail = file.read()
            length, letters = END.unpack(tail) if len(tail) == END.size else (0, b"")
            if letters != LETTERS or length > size - END.size:
                raise InputError(
                    f"{path} is no index of dgreid, or only a part of one; name another, or build it again"
                )
            file.seek(size - END.size - length)
            return file.read(length)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}; name the file of an index") from error


def faiss_reason(error: RuntimeError) -> str:
    """The message of faiss without the place in its source."""
    return re.split(r"\.\w+:\d+: (?:Error: )?", str(error))[-1].strip()
