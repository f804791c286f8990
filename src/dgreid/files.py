"""Writing files so that a kill or a full disk never leaves half of one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dgreid.errors import InputError


def write_atomically(path: Path, write: Callable[[Path], None]) -> Path:
    """Lets ``write`` fill a temporary file beside ``path``, then moves it into place.

    Raises:
        InputError: the file cannot be written (no space, no permission).
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; free space or choose another folder"
        ) from error
    return path


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path``, which becomes ``path`` where the block ends well and is removed otherwise.

    Raises:
        InputError: the folder cannot be written, or something has taken its place.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
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
                f"{place} leads out of {folder}, to {place.resolve()}, and nothing is written there: replace the link by "
                "what it leads to"
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
