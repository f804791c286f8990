"""Runs a sweep of a table in a process of its own, and prints the report of what is finished."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from dgreid.benchmark.tables import Sweep
from dgreid.errors import InputError
from dgreid.run.folder import RESULT
from dgreid.run.interruption import sent_to
from dgreid.run.launchers import missing_launcher

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def run_sweep(sweep: Sweep, at_once: int) -> int:
    """Runs what is missing of a sweep; signals go on to it, so that its runs save.

    Args:
        sweep: what to run.
        at_once: runs at a time.

    Returns:
        The exit code: 0, 1 where a run failed, 128 and the signal's number where it was stopped.

    Raises:
        InputError: several at once are asked for without the package that does it.
    """
    words = sweep.words()
    if at_once > 1:
        if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None:
            raise InputError(f"--jobs {at_once}: {missing_launcher('joblib')}, or take --jobs 1")
        words += ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={at_once}"]
    environment = dict(os.environ)
    if "trainer.accelerator=cpu" in words:
        environment.setdefault("OMP_NUM_THREADS", "1")  # other sums, and so other results, on more
    command = [sys.executable, "-m", "dgreid.train", "-m", *words]
    # A session of its own: the terminal's Ctrl-C reaches it once, from here.
    process = subprocess.Popen(command, env=environment, start_new_session=True)

    def send_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    with sent_to(send_on, SIGNALS):
        code = process.wait()
    return 128 - code if code < 0 else code


def show_report(runs: Path) -> int:
    """Prints the tables of all finished runs below a folder, and writes them beside it; the exit code."""
    if next(runs.rglob(RESULT), None) is None:
        return 0
    output = runs.with_name(f"{runs.name}_report")
    command = [sys.executable, "-m", "dgreid.report", str(runs), "--output", str(output), "--overwrite"]
    return subprocess.run(command, check=False).returncode
