"""What to say when a process that loads images is gone."""

from __future__ import annotations

import re
import signal
import threading
import traceback

# torch says "DataLoader worker (pid 7) is killed by signal: Killed." or "(pid(s) 7) exited unexpectedly".
LOST = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?P<how>is killed by signal: [\w ]+|exited unexpectedly)"
)


# Where a batch's memory is fetched from the process that made it.
FETCHING = ("resource_sharer.py", "reductions.py")
UNKNOWN = "its connection broke"


def lost_worker(error: BaseException) -> str | None:
    """The message for an error that torch raises when a loading process ends before its work does; None for others.

    After such an error torch's signal handler would raise it again at any later line, also while the message is
    written: it is taken off. Further losses are noticed without it, when a loader waits for a batch.
    """
    how: str | None = None
    cause: BaseException | None = error
    while cause is not None:  # the innermost knows the signal
        if isinstance(cause, RuntimeError) and (found := LOST.search(str(cause))):
            how = found["how"].removeprefix("is ")
        elif how is None and isinstance(cause, OSError | EOFError) and _while_fetching(cause):
            how = UNKNOWN
        cause = cause.__cause__ or cause.__context__
    if how is None:
        return None
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return (
        f"a process that loads images is gone ({how}): most often memory ran out, or shared memory (/dev/shm); take "
        "fewer data.workers (0 loads in the main process), and continue the run with resume=true"
    )


def _while_fetching(error: BaseException) -> bool:
    """Whether it arose as a batch came over: its sender was gone, and torch had not heard of that yet."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.filename.endswith(FETCHING) for frame in frames)
