"""What to say when a process that loads images is gone."""

from __future__ import annotations

import re

# torch says "DataLoader worker (pid 7) is killed by signal: Killed." or "(pid(s) 7) exited unexpectedly".
LOST = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?P<how>is killed by signal: [\w ]+|exited unexpectedly)"
)


def lost_worker(error: BaseException) -> str | None:
    """The message for an error that torch raises when a loading process ends before its work does; None for others."""
    how: str | None = None
    cause: BaseException | None = error
    while cause is not None:  # the innermost knows the signal
        if isinstance(cause, RuntimeError) and (found := LOST.search(str(cause))):
            how = found["how"].removeprefix("is ")
        cause = cause.__cause__ or cause.__context__
    if how is None:
        return None
    return (
        f"a process that loads images is gone ({how}): most often memory ran out, or shared memory (/dev/shm); take "
        "fewer data.workers (0 loads in the main process), and continue the run with resume=true"
    )
