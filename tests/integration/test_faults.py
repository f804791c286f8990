"""A few of the interruptions of `make test-faults`, and runs of two processes, which take longer to start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from faults import STEPS, Bench, Case, rows
from interrupted_runs import assert_same_run
from small_runs import typed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("strategy", "workers"), [("il", 0), ("fb", 2)])
def test_runs_stopped_at_random_moments_end_alike(strategy, workers, tmp_path):
    bench, stopped = Bench(tmp_path, seed=workers), 0
    while stopped < 2:
        stopped += bench.interrupt(Case(strategy, workers), most=2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_two_processes_stop_together_and_go_on(number, code, data_root, tmp_path):
    def command(name):
        on_two = ("trainer=ddp", "trainer.devices=2", "data.identities_per_batch=4", "checkpoint_every=1 step")
        words = typed(data_root, *Case("fb", 2).overrides(), *on_two, "resume=auto", f"folder={tmp_path / name}")
        return [sys.executable, "-m", "dgreid.train", *words]

    whole = subprocess.run(command("whole"), check=True, timeout=300, capture_output=True, text=True)
    assert "warning" not in whole.stderr
    run = subprocess.Popen(command("run"))
    deadline = time.monotonic() + 200
    while not (tmp_path / "run" / "checkpoints" / "previous.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(run.pid, number)
    assert run.wait(timeout=100) == code
    assert not (tmp_path / "run" / "result.json").exists(), "stopped too late to prove anything"
    deadline = time.monotonic() + 60
    while subprocess.run(
        command("run"), timeout=300, check=False
    ).returncode:  # until ranks without a starter have ended
        assert time.monotonic() < deadline
    assert_same_run(tmp_path / "run", tmp_path / "whole", STEPS)
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")
