"""``failed.json`` in a run's folder: the run ended with an error, and which; without it, it was interrupted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dgreid.errors import InputError
from dgreid.files import write_json
from dgreid.run.compose import readable
from dgreid.run.folder import RECORD
from dgreid.run.processes import this_rank

FAILED = "failed.json"
FORMAT = 1


@contextmanager
def failure_noted(folder: Path) -> Iterator[None]:
    """Notes the error that ends a run in its folder, which must be this run's; a signal is none.

    Of several processes the first that fails says why; what the others say mostly follows from it.
    """
    if not this_rank():
        (folder / FAILED).unlink(missing_ok=True)  # of an earlier attempt
    try:
        yield
    except Exception as error:
        if not (folder / FAILED).is_file():
            _note(folder, readable(error) or f"{type(error).__name__}: {error}")
        raise


@contextmanager
def failure_of_processes_noted(folder: Path) -> Iterator[None]:
    """Notes in a run's folder why its processes ended, whatever they noted: one that was killed says nothing.

    Args:
        folder: the run's; nothing is noted where none of the processes took it.
    """
    before = _taken_up(folder)
    try:
        yield
    except InputError as error:
        if _taken_up(folder) != before:
            _note(folder, str(error))
        raise


def _taken_up(folder: Path) -> int | None:
    """When a run was last begun or continued here; None for never."""
    record = folder / RECORD
    return record.stat().st_mtime_ns if record.is_file() else None


def _note(folder: Path, message: str) -> None:
    with suppress(InputError):  # a full disk: the error itself is what is told
        content = {"format": FORMAT, "message": message, "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        write_json(folder / FAILED, content)
