"""One process at a time in a run's folder.

The lock is a POSIX record lock: the kernel takes it back when the process ends, however it ends, so none is ever left
for a person to remove. Unlike ``flock``'s it is not inherited by workers that outlive a killed process, and file
servers know it too. It would be lost if its process closed the file elsewhere, so nothing else opens it.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pytorch_lightning.utilities import rank_zero_warn

from dgreid.errors import InputError
from dgreid.run.processes import this_rank

LOCK = ".lock"
HELD = (errno.EACCES, errno.EAGAIN)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder, which must exist; the first rank does so for all of a run.

    A disk without locks is used with a warning. So is one whose last user, on another machine, did not end properly:
    where locks do not reach across machines it may still be there.

    Raises:
        InputError: another process is there, or the folder cannot be written.
    """
    if this_rank():
        yield
        return
    with _opened(folder, "a+") as file:
        if not _taken(file):
            raise InputError(_in_use(folder, _user(file)))
        before = _user(file)
        if before and before.get("host") != socket.gethostname():
            rank_zero_warn(
                f"{_named(before)} did not end properly in {folder}. If it still runs, this disk shares no locks "
                "between machines: stop one of the two"
            )
        _write(file, json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": _now()}))
        try:
            yield
        finally:
            _write(file, "")


def check_unused(folder: Path) -> None:
    """Looks whether another process is in a folder, which need not exist; this one must not be.

    Raises:
        InputError: one is, on this machine or on one whose locks can be seen.
    """
    if this_rank() or not (folder / LOCK).is_file():
        return
    with _opened(folder, "r+") as file:
        if not _taken(file):
            raise InputError(_in_use(folder, _user(file)))


def _opened(folder: Path, mode: str) -> IO[str]:
    try:
        return (folder / LOCK).open(mode, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}); choose another place with runs=..."
        ) from error


def _taken(file: IO[str]) -> bool:
    """Takes the lock until the file is closed; whether nobody else has it."""
    if sys.platform == "win32":
        rank_zero_warn(f"{file.name}: locks are not known here; do not start a run twice")
        return True
    import fcntl  # not there on Windows

    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        rank_zero_warn(f"{file.name}: the disk has no locks ({error.strerror}); do not start a run twice")
    return True


def _user(file: IO[str]) -> dict[str, object]:
    """Who wrote itself into the file; empty if nobody did, or ended properly."""
    file.seek(0)
    try:
        content = json.loads(file.read())
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _write(file: IO[str], text: str) -> None:
    try:
        file.seek(0)
        file.truncate()
        file.write(text)
        file.flush()
    except OSError:  # who it is tells others only; a full disk is told where something is lost by it
        pass


def _in_use(folder: Path, user: dict[str, object]) -> str:
    return (
        f"{folder} is in use by {_named(user)}, and two processes would spoil it; wait for the first, stop it, or "
        "choose another name=..."
    )


def _named(user: dict[str, object]) -> str:
    if not user:
        return "another process"
    return f"process {user.get('pid')} on {user.get('host')}, there since {user.get('since')}"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
