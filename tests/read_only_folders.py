"""Folders that cannot be written to, and small disks; root may write to all that is not mounted otherwise."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Within the block nothing can be written below ``folder``; skips the test where that cannot be had."""
    if os.geteuid() != 0:
        places = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        modes = [path.stat().st_mode for path in places]
        for path in places:
            path.chmod(0o555)
        try:
            yield
        finally:
            for path, mode in zip(places, modes, strict=True):
                path.chmod(mode)
        return
    with _mounted(folder, "--bind", str(folder)):
        _require(["mount", "-o", "remount,bind,ro", str(folder)])
        yield


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Within the block ``folder`` is a disk of so much space; skips the test where that cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"):
        yield


@contextmanager
def _mounted(folder: Path, *what: str) -> Iterator[None]:
    _require(["mount", *what, str(folder)])
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _require(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")
