"""Processes that work together: started, signalled and ended as one, and the first that fails speaks for all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from pytorch_lightning.utilities.exceptions import SIGTERMException

from dgreid.errors import InputError
from dgreid.run.interruption import Interrupted, sent_to
from dgreid.run.reports import REPORT, read_report

STARTER = "DGREID_STARTER"  # process id of who started a rank
HANG_UP = getattr(signal, "SIGHUP", None)  # the terminal is gone
LOOK_EVERY = 0.1  # seconds
AFTER_A_FAILURE = 10.0  # for the others to end by themselves: they may wait for the one that failed for ever
AFTER_A_SIGNAL = 60.0  # to finish a step and write a checkpoint
FORWARDED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))


def run_together(command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> None:
    """Runs a command once for each environment and waits for all; where one fails, the others are ended.

    SIGINT, SIGTERM and SIGUSR1 go on to all of them, SIGHUP as SIGTERM. A second SIGINT ends them at once.

    Raises:
        InputError: one failed; the message is of the first.
        KeyboardInterrupt: SIGINT came.
        SystemExit: another signal came.
    """
    with tempfile.TemporaryDirectory(prefix="dgreid-") as folder:
        reports = [Path(folder) / f"{rank}.json" for rank in range(len(environments))]
        ranks = _Ranks()
        with sent_to(ranks.forward, FORWARDED):
            try:
                for environment, report in zip(environments, reports, strict=True):
                    ranks.start(command, {**environment, REPORT: str(report)})
                ranks.wait(reports)
            finally:
                ranks.kill()
        if ranks.signals:
            raise _stopped_by(ranks.signals[0])
        if any(process.returncode for process in ranks.processes):
            raise InputError(_failure(ranks, reports))


def end_with_starter() -> None:
    """Lets this process end when the one that started it is gone: first by SIGTERM, which lets training save."""
    starter = os.environ.get(STARTER)
    if starter is None or os.getppid() != int(starter):
        return

    def watch() -> None:
        while os.getppid() == int(starter):
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(AFTER_A_SIGNAL / 2)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="starter", daemon=True).start()


class _Ranks:
    """The processes, in order of their ranks.

    Attributes:
        processes: those started.
        signals: that came, in order.
        killed: ranks that were ended from here.
    """

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.signals: list[int] = []
        self.killed: set[int] = set()

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        # In a session of its own, so that the terminal's Ctrl-C reaches it once, from here.
        self.processes.append(
            subprocess.Popen(
                command, env={**os.environ, **environment, STARTER: str(os.getpid())}, start_new_session=True
            )
        )

    def wait(self, reports: Sequence[Path]) -> None:
        """Until all have ended, or must be."""
        deadline = float("inf")
        heard = 0
        while None in (codes := [process.poll() for process in self.processes]):
            if len(self.signals) > heard:
                heard = len(self.signals)
                deadline = time.monotonic() + AFTER_A_SIGNAL
            failed = any(codes) or any(report.exists() for report in reports)
            if failed:
                deadline = min(deadline, time.monotonic() + AFTER_A_FAILURE)
            if time.monotonic() > deadline or self.signals.count(signal.SIGINT) > 1:
                return
            time.sleep(LOOK_EVERY)

    def kill(self) -> None:
        """Ends those that are left, with the workers that load for them."""
        for rank, process in enumerate(self.processes):
            if process.poll() is None:
                self.killed.add(rank)
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes:
            process.wait()

    def forward(self, number: int, frame: FrameType | None) -> None:
        """Sends a signal on to all processes."""
        self.signals.append(number)
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM if number == HANG_UP else number)


def _stopped_by(number: int) -> BaseException:
    if number == signal.SIGINT:
        return KeyboardInterrupt()
    return SIGTERMException() if number in (signal.SIGTERM, HANG_UP) else Interrupted(number)


def _failure(ranks: _Ranks, reports: Sequence[Path]) -> str:
    """The message of the rank that failed first; what the others say only follows from it."""
    count = len(reports)
    told = {rank: report for rank, file in enumerate(reports) if (report := read_report(file)) is not None}
    codes = {rank: process.returncode for rank, process in enumerate(ranks.processes) if rank not in ranks.killed}
    for rank, code in codes.items():
        if code < 0 and rank not in told:
            ended_by = signal.Signals(-code).name
            cause = ", perhaps because memory ran out" if ended_by == "SIGKILL" else ""
            others = "" if count == 1 else ", and the others with it"
            return f"{_name(rank, count)} was ended by {ended_by}{cause}{others}; continue the run with resume=auto"
    if told:
        rank = min(told, key=lambda rank: told[rank].seconds)
        if not told[rank].is_stack:
            return told[rank].text
        print(told[rank].text, file=sys.stderr)
        return f"{_name(rank, count)} failed: {told[rank].text.strip().splitlines()[-1]}"
    rank = next(rank for rank, code in codes.items() if code)
    return f"{_name(rank, count)} ended with exit code {codes[rank]}; what it said stands above"


def _name(rank: int, count: int) -> str:
    return "the process of this run" if count == 1 else f"process {rank} of {count}"
