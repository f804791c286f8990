"""Writing files so that a kill or a full disk never leaves half of one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dgreid.errors import InputError

TEMPORARY = re.compile(r"\..+\.\d+(\.\w+)?")


def write_atomically(path: Path, write: Callable[[Path], None], durable: bool = False) -> Path:
    """Lets ``write`` fill a temporary file beside ``path``, then moves it into place.

    Args:
        path: the file.
        write: gets the temporary file's path.
        durable: waits until the file is on the disk, under its name, so that it is there after a power cut.

    Raises:
        InputError: the file cannot be written (no space, no permission).
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            if durable:
                _sync(temporary)
            temporary.replace(path)
            if durable:
                _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; free space or choose another folder"
        ) from error
    return path


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_temporary(path: Path) -> bool:
    """Whether this is a file that a process is writing, or was when it was killed."""
    return path.is_file() and TEMPORARY.fullmatch(path.name) is not None


def remove_temporary(folder: Path) -> None:
    """Removes files that a killed process was writing into a folder; only for who alone writes there."""
    for path in filter(is_temporary, folder.glob(".*")):
        path.unlink(missing_ok=True)


def second_name(path: Path, name: Path) -> Path:
    """Makes ``name`` a second name of a file, or a copy where there are no hard links; what had it loses it."""
    temporary = name.with_name(f".{name.stem}.{os.getpid()}{name.suffix}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, temporary)
        _sync(temporary)
    temporary.replace(name)
    temporary.unlink(missing_ok=True)  # still there where both were names of one file already
    return name


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path``, which becomes ``path`` where the block ends well and is removed otherwise.

    Raises:
        InputError: the folder cannot be written, or something has taken its place.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had this one's number
    try:
        temporary.mkdir(parents=True)
        try:
            yield temporary
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; free space or choose another folder"
        ) from error


def require_within(folder: Path, path: Path) -> Path:
    """Says before any work whether what is written to a place stays in a folder, which may be somebody else's.

    Args:
        folder: may itself be a link.
        path: a file or folder in it, there or not, with all below it.

    Raises:
        InputError: a link leads out of the folder.
    """
    for place in (path, *(path.rglob("*") if path.is_dir() else ())):
        if not place.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{place} leads out of {folder}, to {place.resolve()}, and nothing is written there: replace the link "
                "by what it leads to"
            )
    return path


def write_text(path: Path, text: str) -> Path:
    """Writes UTF-8 text atomically."""
    return write_atomically(path, lambda temporary: _write(temporary, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> Path:
    """Writes JSON atomically, indented, keys in the order given."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
