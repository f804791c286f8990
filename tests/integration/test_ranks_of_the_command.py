"""The real command on several processes: a rank that dies ends the others, and a sweep runs every job once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import typed
from test_commands import ROOT, command

pytestmark = pytest.mark.slow
SEVERAL = ("data.identities_per_batch=6", "data.workers=0")
LONG = "steps_per_epoch=100000"
MINUTE = 60


class Running:
    """A command that runs.

    Attributes:
        process: what was typed.
    """

    def __init__(self, log: Path, *words: str) -> None:
        self._log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "train.py", *words], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
            )  # fmt: skip

    def ranks(self) -> list[int]:
        """Process ids of its ranks, in order."""
        found = {re.search(rb"\0RANK=(\d+)", read(f"/proc/{pid}/environ")): pid for pid in children(self.process.pid)}
        return [pid for rank, pid in sorted((int(rank[1]), pid) for rank, pid in found.items() if rank)]

    def until(self, condition: Callable[[], object], seconds: float = 4 * MINUTE) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s; so far:\n{self.said()}"
            time.sleep(0.1)

    def until_it_trains(self, *folders: Path) -> None:
        def steps() -> bool:
            assert self.process.poll() is None, self.said()
            return all((folder / "metrics.csv").is_file() for folder in folders)

        self.until(steps)

    def ended(self, processes: list[int]) -> int:
        """Its exit code, once it and all of these have ended, which must be within a minute."""
        self.until(lambda: self.process.poll() is not None and not any(map(alive, processes)), MINUTE)
        return self.process.returncode

    def said(self) -> str:
        return self._log.read_text()


@pytest.fixture
def run(tmp_path):
    """Starts a command; whatever is left of it is killed."""
    started = []

    def start(*words: str) -> Running:
        started.append(Running(tmp_path / "log.txt", *words))
        return started[-1]

    yield start
    for running in started:
        for pid in [*children(running.process.pid), running.process.pid]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        running.process.wait()


def read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*") for child in read(f"{task}/children").split()]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    state = read(f"/proc/{pid}/stat").rpartition(b") ")[2][:1]
    return state not in (b"", b"Z", b"X")


@pytest.mark.parametrize(("devices", "victim"), [(2, 0), (2, 1), (3, 2)])
def test_a_rank_that_is_killed_ends_the_others(devices, victim, run, data_root, tmp_path):
    folder = tmp_path / "run"
    running = run(*typed(data_root, f"folder={folder}", *SEVERAL, LONG, f"trainer.devices={devices}"))
    running.until_it_trains(folder)
    ranks = running.ranks()
    assert len(ranks) == devices
    os.kill(ranks[victim], signal.SIGKILL)
    assert running.ended(ranks) == 1
    last = running.said().strip().splitlines()[-1]
    assert last.startswith(f"error: process {victim} of {devices} was ended by SIGKILL")


FAILING = """
import os, sys
from dgreid.errors import InputError
from dgreid.module import ReIDModule
original = ReIDModule.training_step
def failing(self, *args):
    if self.trainer.global_step == 3 and os.environ["RANK"] == "1":
        raise {error}
    return original(self, *args)
ReIDModule.training_step = failing
from dgreid.train import main
main()
"""


@pytest.mark.parametrize(
    ("error", "last", "stacks"),
    [
        ("ValueError('of rank 1')", "error: process 1 of 2 failed: ValueError: of rank 1", 1),
        ("InputError('cannot read image 7')", "error: cannot read image 7", 0),
    ],
)
def test_the_message_of_the_rank_that_fails_comes_last(error, last, stacks, data_root, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(FAILING.format(error=error))
    done = command(str(script), *typed(data_root, f"folder={tmp_path / 'run'}", *SEVERAL, LONG, "trainer.devices=2"))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == last
    assert done.stderr.count("Traceback") == stacks, done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_goes_on(number, code, run, data_root, tmp_path):
    folder = tmp_path / "run"
    words = [*typed(data_root, f"folder={folder}", *SEVERAL, "trainer.devices=2"), "resume=auto"]
    running = run(*words, LONG)
    running.until_it_trains(folder)
    ranks = running.ranks()
    running.process.send_signal(number)
    assert running.ended(ranks) == code
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert not json.loads((folder / ".lock").read_text() or "{}")


def test_a_killed_starter_leaves_nobody(run, data_root, tmp_path):
    folder = tmp_path / "run"
    running = run(*typed(data_root, f"folder={folder}", *SEVERAL, LONG, "trainer.devices=2"))
    running.until_it_trains(folder)
    ranks = running.ranks()
    running.process.kill()
    assert running.ended(ranks) == -signal.SIGKILL


def test_a_sweep_runs_every_job_once(data_root, tmp_path):
    words = typed(data_root, f"runs={tmp_path}", *SEVERAL, "epochs=1", "trainer.devices=2")
    done = command("train.py", "-m", *words, "strategy=fb,softmax_triplet", "seed=0,x")
    assert done.returncode == 1
    assert done.stderr.count("error: seed=x: a whole number") == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: not every run of this sweep succeeded")
    results = [json.loads(path.read_text()) for path in tmp_path.rglob("result.json")]
    assert sorted(result["strategy"] for result in results) == ["fb", "softmax_triplet"]
    assert all(result["batch"]["processes"] == 2 for result in results)
    assert len(list(tmp_path.rglob("config.yaml"))) == 2
    assert done.stdout.count("results: ") == 2
    again = command("train.py", "-m", *words, "strategy=fb,softmax_triplet", "resume=auto")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("finished already: ") == 2


def test_ctrl_c_ends_a_sweep_with_all_its_processes(run, data_root, tmp_path):
    words = typed(data_root, f"runs={tmp_path}", *SEVERAL, LONG, "trainer.devices=2")
    running = run("-m", *words, "seed=0,1")
    running.until(lambda: list(tmp_path.rglob("metrics.csv")))
    ranks = running.ranks()
    assert len(ranks) == 2
    running.process.send_signal(signal.SIGINT)
    assert running.ended(ranks) == 130
    assert [path.parent.name.partition("_")[0] for path in tmp_path.rglob("config.yaml")] == ["seed0"]
