"""One process at a time writes an index, and what killed ones left behind is cleared away.

The lock tells what a killed process left from what one on another machine is writing: the system releases it however a
process ends.
"""

from __future__ import annotations

import glob
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from dgreid.errors import InputError
from dgreid.files import new_folder, require_within
from dgreid.search.index_folder import METADATA, IndexFolder

LOCK = ".lock"
OF_AN_INDEX = re.compile(r"(\.?index-\d+(\.\d+)?\.faiss|images-\d+\.csv|embeddings-\d+\.npy|\.metadata\.\d+\.json)")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within it no other process adds to an index.

    Raises:
        InputError: one does, a link leads out of the folder, or it cannot be locked.
    """
    require_within(folder, folder)
    try:
        held = _taken(folder / LOCK)
    except Timeout as error:
        raise InputError(f"another process is adding images to {folder}; try again when it is done") from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{folder} cannot be written or locked: {reason}; copy it to where it can") from error
    with held:
        yield


@contextmanager
def new_index(path: Path) -> Iterator[Path]:
    """As :func:`~dgreid.files.new_folder`, by one process at a time, which clears away what killed ones left.

    Raises:
        InputError: another process is making it, it cannot be written, or something has taken its place.
    """
    lock = path.with_name(f".{path.name}.lock")
    require_within(path.parent, lock)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _taken(lock)
    except Timeout as error:
        raise InputError(f"another process is making {path}; try again when it is done") from error
    except OSError:  # without locks nobody knows what a killed process left; what cannot be written is told below
        with new_folder(path) as folder:
            yield folder
        return
    with held:
        _clear_interrupted(path)
        try:
            with new_folder(path) as folder:
                yield folder
        finally:
            lock.unlink(missing_ok=True)


def _taken(file: Path) -> AcquireReturnProxy:
    """The system's lock, now or not at all: a mark in its place would outlive a process that is killed.

    Raises:
        Timeout: another process has it.
        OSError: the file cannot be written, or its file system has no locks.
    """
    return FileLock(file, timeout=0, fallback_to_soft=False).acquire()


def _clear_interrupted(path: Path) -> None:
    """Removes ``.<name>.<number of a process>`` beside a folder."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if left.suffix[1:].isdecimal() and left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)


def clear_unlisted(index: IndexFolder) -> None:
    """Removes files of additions that were killed, which the index does not name; call it within :func:`alone`."""
    metadata = index.metadata
    listed = {METADATA, metadata.index, *(name for part in metadata.parts for name in (part.table, part.embeddings))}
    for file in index.path.iterdir():
        if file.name not in listed and OF_AN_INDEX.fullmatch(file.name):
            file.unlink()
