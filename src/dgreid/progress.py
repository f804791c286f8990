"""How far a long piece of work is: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def progress(what: str, total: int, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """Shows how many images are done.

    Args:
        what: what is done with them, in one word.
        total: how many there are.
        console: where; the standard error stream by default.

    Yields:
        A function that takes the number done so far.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(what, total, console)
        return
    columns = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TextColumn("images"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done)


class _Lines:
    """A line when half a minute has passed since the last one, and at the end of work that was that long."""

    def __init__(self, what: str, total: int, console: Console) -> None:
        self.what, self.total, self.console = what, total, console
        self.start = self.last = time.perf_counter()

    def __call__(self, done: int) -> None:
        now = time.perf_counter()
        is_long = now - self.start > SECONDS_BETWEEN_LINES
        if now - self.last > SECONDS_BETWEEN_LINES or (is_long and done == self.total):
            rate = done / (now - self.start)
            self.last = now
            self.console.print(
                f"{self.what}: {done:,} of {self.total:,} images, {rate:,.0f} a second", highlight=False, soft_wrap=True
            )
