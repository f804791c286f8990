"""What to say when a process that loads images is gone, or does not answer."""

from __future__ import annotations

import re
import signal
import threading
import traceback

# torch says "DataLoader worker (pid 7) is killed by signal: Killed." or "(pid(s) 7) exited unexpectedly".
LOST = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?P<how>is killed by signal: [\w ]+|exited unexpectedly)"
)
OVERDUE = re.compile(r"DataLoader timed out after [\d.]+ seconds")

# Where a batch's memory is fetched from the process that made it.
FETCHING = ("resource_sharer.py", "reductions.py")
UNKNOWN = "its connection broke"
WAY_OUT = "take fewer data.workers (0 loads in the main process), and continue the run with resume=true"


def is_overdue(error: BaseException) -> bool:
    """Whether torch raised it because a batch took too long."""
    return isinstance(error, RuntimeError) and OVERDUE.search(str(error)) is not None


def lost_worker(error: BaseException) -> str | None:
    """The message for an error that torch raises when a loading process ends before its work does, or stands still.

    None for others. After such an error torch's signal handler would raise it again at any later line, also while the
    message is written: it is taken off. Further losses are noticed without it, when a loader waits for a batch.
    """
    try:
        return _message(error)
    except RuntimeError as again:  # before it was taken off
        return _message(again)


def _message(error: BaseException) -> str | None:
    how: str | None = None
    cause: BaseException | None = error
    while cause is not None:  # the innermost knows the signal
        if isinstance(cause, RuntimeError) and (found := LOST.search(str(cause))):
            how = found["how"].removeprefix("is ")
        elif how is None and isinstance(cause, OSError | EOFError) and _while_fetching(cause):
            how = UNKNOWN
        cause = cause.__cause__ or cause.__context__
    if how is None and not is_overdue(error):
        return None
    _expect_no_more_losses()
    if how is None:
        return (
            "a process that loads images does not answer: most often shared memory (/dev/shm) is full, or a disk of "
            f"the network hangs; {WAY_OUT}"
        )
    return (
        f"a process that loads images is gone ({how}): most often memory ran out, or shared memory (/dev/shm); "
        f"{WAY_OUT}"
    )


def _expect_no_more_losses() -> None:
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _while_fetching(error: BaseException) -> bool:
    """Whether it arose as a batch came over: its sender was gone, and torch had not heard of that yet."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.filename.endswith(FETCHING) for frame in frames)
