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
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dgreid.errors import InputError
from dgreid.evaluation.labels import Numbers
from dgreid.files import write_atomically

LETTERS = b"DGREIDIX"
END = struct.Struct("<Q8s")
FORMAT = 1


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
        content = {"settings": np.array(json.dumps({"format": FORMAT, **settings})), **arrays}
        np.savez(archive, **content)  # type: ignore[arg-type]  # numpy types its keywords as bool
        with temporary.open("ab") as file:
            file.write(archive.getbuffer())
            file.write(END.pack(archive.getbuffer().nbytes, LETTERS))

    return write_atomically(path, write_both)


def read_note(path: Path) -> tuple[dict[str, Any], dict[str, Numbers]]:
    """The settings and arrays at the end of a file; nothing in it is executed.

    Raises:
        InputError: there is no such file, it does not end in a note, or in one of another format.
    """
    archive = io.BytesIO(_archive(path))
    try:
        with np.load(archive, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        settings = json.loads(str(arrays.pop("settings")))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged ({error}); build it again") from error
    if settings["format"] != FORMAT:
        raise InputError(f"{path} has format {settings['format']}, this version reads {FORMAT}; build it again")
    return settings, arrays


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
