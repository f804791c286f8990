"""Runs cells of the synthetic benchmark, several at a time, each in a process of its own, until it is stopped."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from synthetic_cells import METHODS, Cell

PATIENCE = 30.0  # seconds that a stopped run has to end by itself
POLL = 0.2  # seconds


def busy(log: Path) -> bool:
    """Whether a process writes a cell's log; the lock lives as long as the process, whoever started it."""
    if not log.exists():
        return False
    with log.open("a") as file:
        return not locked(file)


def locked(file: TextIO) -> bool:
    """Takes the lock of a log if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Sweep:
    """The cells that are left, and the processes that run.

    Args:
        cells: in the order of running; finished ones are passed over.
        jobs: processes at a time.
        seen: whether each run is evaluated on its sources, too.
        root: the folder of ``train.py`` and ``evaluate.py``.

    Attributes:
        failed: why a cell did not finish.
    """

    def __init__(self, cells: Sequence[Cell], jobs: int, seen: bool, root: Path) -> None:
        self.cells, self.jobs, self.seen, self.root = cells, jobs, seen, root
        self.failed: dict[Cell, str] = {}
        self._waiting = [cell for cell in cells if self._command(cell)]
        self._running: dict[Cell, subprocess.Popen[bytes]] = {}
        self._scripts: dict[Cell, str] = {}
        self._begun: dict[Cell, float] = {}
        self._seconds_by_cost: list[float] = []

    def run(self) -> None:
        """Runs everything; processes end when this is interrupted."""
        states = [cell.state() for cell in self.cells]
        print(
            f"{len(self.cells)} cells: {states.count('finished')} finished, {states.count('begun')} begun, "
            f"{states.count('missing')} missing; {self.jobs} at a time",
            flush=True,
        )
        try:
            while self._waiting or self._running:
                while self._waiting and len(self._running) < self.jobs:
                    self._start(self._waiting.pop(0))
                time.sleep(POLL)
                for cell in [cell for cell, process in self._running.items() if process.poll() is not None]:
                    self._end(cell)
        finally:
            self._stop()

    def _command(self, cell: Cell) -> list[str]:
        """What a cell needs next, if anything."""
        state = cell.state()
        if state != "finished":
            resume = ["resume=true"] if state == "begun" else []
            return ["train.py", *cell.training(), *resume]
        if self.seen and cell.seen_result() is None:
            return ["evaluate.py", *cell.seen_evaluation()]
        return []

    def _start(self, cell: Cell) -> None:
        cell.log.parent.mkdir(parents=True, exist_ok=True)
        script, *overrides = self._command(cell)
        self._scripts[cell] = script
        with cell.log.open("a", encoding="utf-8") as log:
            if not locked(log):  # the lock goes over to the process, with the file
                self.failed[cell] = f"another process runs it, see {cell.log}"
                return
            print(f"$ python {shlex.join([script, *overrides])}", file=log, flush=True)
            # A session of its own: Ctrl-C in the terminal reaches this program alone, which then ends its processes.
            self._running[cell] = subprocess.Popen(
                [sys.executable, str(self.root / script), *overrides], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self._begun.setdefault(cell, time.monotonic())

    def _end(self, cell: Cell) -> None:
        """Takes note of a process that ended; a cell that was trained may have to be evaluated yet."""
        code = self._running.pop(cell).returncode
        left = self._command(cell)
        if code or self._scripts[cell] in left:
            self.failed[cell] = f"{self._scripts[cell]} ended with {code}, see {cell.log}"
            print(f"failed: {cell}: {self.failed[cell]}", flush=True)
        elif left:
            self._start(cell)
        else:
            self._finish(cell)

    def _finish(self, cell: Cell) -> None:
        seconds = time.monotonic() - self._begun[cell]
        self._seconds_by_cost.append(seconds / METHODS[cell.method].cost)
        row = cell.result()["summary"][f"synthetic_{cell.target}"]
        done = sum(one.state() == "finished" for one in self.cells)
        print(
            f"[{done}/{len(self.cells)}] {cell}: mAP {100 * row['mAP']:.1f}, Rank-1 {100 * row['rank1']:.1f}, "
            f"{duration(seconds)}; {self._left()}",
            flush=True,
        )

    def _left(self) -> str:
        """An estimate from the runs of this call, by the rough costs of the methods."""
        unit, now = statistics.fmean(self._seconds_by_cost), time.monotonic()
        seconds = sum(unit * METHODS[cell.method].cost for cell in self._waiting)
        for cell in self._running:
            seconds += max(unit * METHODS[cell.method].cost - (now - self._begun[cell]), 0.0)
        return f"about {duration(seconds / self.jobs)} left" if self._waiting or self._running else "all done"

    def _stop(self) -> None:
        """Ends what runs: politely, then at once, also if the keyboard interrupts the waiting."""
        try:
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE
            while any(process.poll() is None for process in self._running.values()) and time.monotonic() < deadline:
                time.sleep(POLL)
        finally:
            self._signal(signal.SIGKILL)
            for process in self._running.values():
                process.wait()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)


def duration(seconds: float) -> str:
    """In words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
