"""Signals that ask a run to stop, answered between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

# What clusters send before they take a machine away, and Ctrl-C.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))


class Interrupted(SystemExit):
    """A signal ended the run; the process's exit code is that of a shell: 128 + its number (143 for SIGTERM).

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


class StopRequests:
    """Takes note of signals while a run trains.

    Within a step, weights, memory banks and optimizer do not belong together: a signal is noted for the step's end, and
    a second Ctrl-C does not wait for it. While nothing changes (``at_once``), a signal ends the run where it is.

    Attributes:
        received: the first signal's number; None so far.
        at_once: whether a signal need not wait.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.at_once = True
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """From now on signals come here; only the main thread can hear them."""
        if threading.current_thread() is threading.main_thread() and not self._before:
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}

    def leave(self) -> None:
        """Signals mean what they meant before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or number
        if self.at_once:
            raise Interrupted(number)
