"""Whether files are still those that a run began with: one that is exchanged under way would change its numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

THREADS = 8  # a network disk answers many questions at once


class FileState(NamedTuple):
    """What a change of a file changes.

    Attributes:
        size: in bytes.
        changed: time of the last change, in ns.
    """

    size: int
    changed: int


def file_of(path: Path) -> Path:
    """The file on disk that holds an image: itself, or the ``.mat`` it lies in."""
    head, separator, _ = str(path).partition(f".mat{os.sep}")
    return Path(head + separator.rstrip(os.sep)) if separator else path


def file_state(path: Path) -> FileState:
    """The state of the file that holds an image.

    Raises:
        OSError: it is missing.
        ValueError: no file can have this name.
    """
    status = os.stat(file_of(path))
    return FileState(status.st_size, status.st_mtime_ns)


def file_states(paths: Iterable[Path]) -> dict[Path, FileState]:
    """The state of each image's file, without those that are missing."""
    unique = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(THREADS) as pool:
        states = zip(unique, pool.map(_state_or_none, unique), strict=True)
        return {path: state for path, state in states if state is not None}


def _state_or_none(path: Path) -> FileState | None:
    try:
        return file_state(path)
    except (OSError, ValueError):
        return None
