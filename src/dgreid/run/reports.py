"""What a process that fails says: on the terminal, or to the process that started it, which speaks for all ranks."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from dgreid.files import write_json

REPORT = "DGREID_REPORT"  # names the file that a rank writes, if another process started it


class Report(NamedTuple):
    """Why a rank failed.

    Attributes:
        text: an error's message, or the stack of one that no user can mend.
        seconds: since the epoch, when it failed.
        is_stack: which of the two it is.
    """

    text: str
    seconds: float
    is_stack: bool


def tell(message: str) -> None:
    """An error's message, where it is read."""
    if not report(message):
        print(f"error: {message}", file=sys.stderr)


def report(message: str | None, error: BaseException | None = None) -> bool:
    """Leaves a rank's first report where its starter looks for it.

    Args:
        message: for the user; None if there is only the error.
        error: what was raised.

    Returns:
        Whether this process is one that reports.
    """
    file = os.environ.get(REPORT)
    if file is None:
        return False
    if not Path(file).exists():
        text = message if message is not None else "".join(traceback.format_exception(error))
        write_json(Path(file), Report(text, time.time(), is_stack=message is None)._asdict())
    return True


def read_report(file: Path) -> Report | None:
    """What a rank left; None if nothing."""
    return Report(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
