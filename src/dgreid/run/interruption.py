"""Signals that ask a run to stop, answered between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

# What clusters send before they take a machine away, and Ctrl-C.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))


@contextmanager
def sent_to(handler: Callable[[int, FrameType | None], None], numbers: Sequence[int]) -> Iterator[None]:
    """Within it, signals go to a handler; not those that are ignored, as ``nohup`` has it.

    Args:
        handler: takes the number of a signal and what was interrupted. Only the main thread can hear.
        numbers: of the signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


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
