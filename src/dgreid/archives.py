"""Zip archives from outside, such as ``.npz`` files and checkpoints: a small one may hold what fills all memory."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

from dgreid.errors import InputError

MOST_GROWTH = 100  # embeddings and weights hardly shrink when they are packed; text and labels beside them do
SMALL = 2**28  # bytes; what unpacks to less is harmless


def require_reasonable_size(archive: Path | IO[bytes]) -> None:
    """Refuses an archive that would unpack to many times its size; other files pass.

    Raises:
        InputError: as said.
    """
    if not zipfile.is_zipfile(archive):
        return
    with zipfile.ZipFile(archive) as opened:
        unpacked = sum(entry.file_size for entry in opened.infolist())
        packed = opened.fp.seek(0, 2) if opened.fp is not None else 0
    if unpacked > MOST_GROWTH * packed + SMALL:
        name = archive if isinstance(archive, Path) else "it"
        raise InputError(
            f"{name} has {packed / 1e6:,.1f} MB and would unpack to {unpacked / 1e6:,.0f} MB, as no file of numbers "
            "does; copy it again, or write it without compression"
        )
