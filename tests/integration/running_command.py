"""``train.py`` under way on a process of its own, and what may happen to it."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dgreid.train import main as train_command

PATIENCE = 300.0  # seconds that a run may take before it counts as stuck


class RunningCommand:
    """The command on a process of its own, which heads a process group.

    Args:
        words: what is typed.
        log: where it prints to.
        several: whether it starts processes that train, instead of training itself.
    """

    def __init__(self, words: Sequence[str], log: Path, *, several: bool) -> None:
        self.begun = time.monotonic()
        self.log = log
        self.several = several
        self.process = os.fork()
        self._ranks: list[int] = []
        if self.process == 0:
            _be_the_command(words, log, several)

    def ended(self, wait: float) -> int | None:
        """The exit code, negative for a signal; None if it still runs after so many seconds."""
        until = time.monotonic() + wait
        while True:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= until:
                return None
            time.sleep(0.01)

    def end(self) -> int:
        """Waits for the end.

        Raises:
            AssertionError: it does not come.
        """
        code = self.ended(PATIENCE)
        if code is None:
            os.killpg(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            raise AssertionError(f"stuck; see {self.log}")
        return code

    def outlive(self) -> None:
        """Waits for processes that notice only after seconds that the one that started them is gone.

        Raises:
            AssertionError: one stays.
        """
        until = time.monotonic() + PATIENCE
        while left := [rank for rank in self._ranks if Path(f"/proc/{rank}").exists()]:
            assert time.monotonic() < until, f"processes {left} stay; see {self.log}"
            time.sleep(0.1)

    def hit(self, fault: str, everyone: bool) -> bool:
        """Lets something happen to it.

        Args:
            fault: the name of a signal; ``worker`` or ``rank``, whose last one is killed; ``disk``, which is full from
                now on.
            everyone: a signal goes to all of its processes.

        Returns:
            False where there is nothing that it could happen to.
        """
        self._ranks = _children(self.process) if self.several else []
        trainer = self._ranks[:1] if self.several else [self.process]
        if fault in ("disk", "worker", "rank"):
            victims = {"disk": trainer, "rank": self._ranks, "worker": _children(*trainer)}[fault]
            try:
                for victim in victims[-1:]:
                    _fill_disk(victim) if fault == "disk" else os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:  # it has ended meanwhile
                return False
            return bool(victims)
        for leader in (self.process, *self._ranks) if everyone else ():
            with suppress(ProcessLookupError):  # a rank that has just begun heads no group yet, or has ended meanwhile
                os.killpg(leader, signal.Signals[fault])
        if not everyone:
            os.kill(self.process, signal.Signals[fault])
        return True


def _children(*processes: int) -> list[int]:
    """Those that processes have started, in order."""
    files = (Path(f"/proc/{process}/task/{process}/children") for process in processes)
    return [int(child) for file in files if file.exists() for child in file.read_text().split()]


def _fill_disk(process: int) -> None:
    resource.prlimit(process, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))


def _be_the_command(words: Sequence[str], log: Path, several: bool) -> None:
    os.setpgid(0, 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if several:  # it starts others by its own command line
        os.execv(sys.executable, [sys.executable, "-m", "dgreid.train", *words])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["train.py", *words]
    code = 1
    try:
        train_command()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
