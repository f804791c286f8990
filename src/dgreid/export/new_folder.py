"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dgreid.errors import InputError


def check_free(path: Path) -> None:
    """Nothing that exists is overwritten.

    Raises:
        InputError: something is there.
    """
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists, and nothing is overwritten: give another place with output=..., or remove it")


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
            check_free(path)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}; free space or choose another place with output=..."
        ) from error
