"""A loader whose processes may stand still: it waits for them for some minutes, and replaces them once.

A process that is forked while another thread holds a lock of a C library has that lock held for good, and stops where
it needs it. Threads of process groups, of the backward pass and of memory pinning may do so at any time
(github.com/pytorch/pytorch, issues 75147 and 130610). Processes that are forked a minute later find the lock free.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sized
from contextlib import suppress
from typing import Any, NamedTuple, cast

from torch.utils.data import DataLoader

from dgreid.data.lost_workers import is_overdue
from dgreid.data.worker_signals import TELL_STACK
from dgreid.types import ReIDBatch

FIRST_WAIT = 60.0  # seconds that a batch may take before the processes are replaced
SECOND_WAIT = 240.0  # seconds that it may take then
TO_WRITE_A_STACK = 1.0  # seconds


class _Iteration(NamedTuple):
    """What has not been asked for, and what was asked for and has not come; both in their order."""

    rest: Iterator[object]
    asked: deque[object]


class BatchOrder:
    """What a loader asks its processes for; an iteration that is taken up again asks first for what has not come.

    Args:
        batches: what to ask for, in this order.

    Attributes:
        iteration: that the next ``iter`` takes up; None for one from the start.
    """

    def __init__(self, batches: Iterable[object]) -> None:
        self.batches = batches
        self.iteration: _Iteration | None = None

    def begin(self) -> _Iteration:
        """An iteration from the start."""
        return _Iteration(iter(self.batches), deque())

    def __iter__(self) -> Iterator[object]:
        return _asked(self.iteration or self.begin())

    def __len__(self) -> int:
        return len(cast(Sized, self.batches))  # a TypeError where they are endless, as torch and Lightning want it


def _asked(iteration: _Iteration) -> Iterator[object]:
    yield from tuple(iteration.asked)
    for batch in iteration.rest:
        iteration.asked.append(batch)
        yield batch


class BoundedLoader(DataLoader[ReIDBatch]):
    """A loader over a :class:`BatchOrder` that replaces processes that stand still, and keeps none without need.

    A run that was suspended for long finds its processes replaced, and has lost nothing.
    """

    def __iter__(self) -> Any:
        order = cast(BatchOrder, self.sampler)
        left = len(order) if isinstance(order.batches, Sized) else -1
        iteration = order.begin()
        batches = None
        while left:
            batches, batch = self._next(batches, iteration)
            if batch is None:
                return
            iteration.asked.popleft()
            left -= 1
            if left == 0:  # who takes a known number of batches never asks for one more, and would keep the processes
                batches = None
            yield batch

    def _next(self, batches: Any, iteration: _Iteration) -> tuple[Any, ReIDBatch | None]:
        """Torch's iterator, another one where it had to be replaced, with its next batch; None after the last."""
        try:
            batches = self._taken_up(iteration, FIRST_WAIT) if batches is None else batches
            return batches, next(batches, None)
        except RuntimeError as error:
            if not is_overdue(error):
                raise
        _give_up(self._iterator if batches is None else batches)
        self._iterator = None
        batches = self._taken_up(iteration, SECOND_WAIT)
        try:
            return batches, next(batches, None)
        except RuntimeError as error:
            if is_overdue(error):
                _end_all()
            raise

    def _taken_up(self, iteration: _Iteration, wait: float) -> Any:
        order = cast(BatchOrder, self.sampler)
        self.timeout = wait if self.num_workers else 0
        order.iteration = iteration
        try:
            return super().__iter__()
        finally:
            order.iteration = None


def _give_up(batches: Any) -> None:
    """Ends the processes of torch's iterator, also those that hear no signal, and lets them say where they stand."""
    print(
        f"a process that loads images has not answered for {batches._timeout:.0f} s and is replaced; it stood here, if "
        "it can tell:",
        file=sys.stderr,
    )
    batches._shutdown_workers()  # before any is killed, or else torch would take that for a loss
    if TELL_STACK is not None:
        for process in batches._workers:
            with suppress(ProcessLookupError):
                os.kill(process.pid, TELL_STACK)
        time.sleep(TO_WRITE_A_STACK)
    for process in batches._workers:
        process.kill()
        process.join()


def _end_all() -> None:
    """Ends whatever this process started to load: nothing may wait for those that stand still."""
    for process in multiprocessing.active_children():
        process.kill()
