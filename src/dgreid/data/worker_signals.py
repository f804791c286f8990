"""What loading workers do about signals that are meant for the run.

A cluster and Ctrl-C signal all processes of a run. The main process then ends its step, saves, and ends its workers; if
they ended by themselves, the step could not.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

TELL_STACK = getattr(signal, "SIGUSR2", None)  # lets a worker write where it stands
SECONDS = 10.0  # that a worker stays after it was told to end, in case nobody ends it


def outlive_signals(worker: int) -> None:
    """Called in a worker when it begins; takes its number."""
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    if TELL_STACK is not None and sys.__stderr__ is not None:
        with suppress(ValueError, OSError):  # it is closed
            faulthandler.register(TELL_STACK, file=sys.__stderr__)


def _end_later(number: int, frame: FrameType | None) -> None:
    # Not ignored for ever: Python tells workers to end when it exits, and waits for them.
    timer = threading.Timer(SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()
