"""The synthetic benchmark's command as it is typed, on runs of seconds: stopped, gone on with, evaluated, tabled."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_runs import SMALL

from dgreid.synthetic.draws import VERSION

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SEEN = ("plaza", "station", "campus")
LENGTH = ("epochs=6", "steps_per_epoch=3")


def command(data_root, folder, *options):
    kept = [
        value for value in SMALL if not value.startswith(("epochs", "steps_per_epoch", "data=", "net=", "schedule="))
    ]
    choice = ["--methods", "fb", "--targets", "night", "--seeds", "0", "--jobs", "1", "--folder", str(folder)]
    script = str(ROOT / "benchmarks" / "synthetic.py")
    return [sys.executable, script, *choice, *options, "--", *kept, *LENGTH, f"data_root={data_root}"]


def run(*words, code=0):
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_a_stopped_sweep_goes_on_to_the_same_results(data_root, tmp_path):
    stopped, straight = tmp_path / "stopped" / f"v{VERSION}", tmp_path / "straight" / f"v{VERSION}"
    first = stopped / "fb" / "to_night" / "seed0"
    sweep = subprocess.Popen(command(data_root, tmp_path / "stopped"), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (first / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(sweep.pid, signal.SIGINT)
    assert "stopped; finished runs stay" in sweep.communicate(timeout=100)[0]
    assert sweep.returncode == 130
    assert not (first / "result.json").exists(), "stopped too late to prove anything"
    listed = run(data_root, tmp_path / "stopped", "--dry")
    assert "begun     fb to_night seed 0" in listed
    assert "cells: 1 begun" in listed
    printed = run(data_root, tmp_path / "stopped", "--seen")
    assert "cells: 0 finished, 1 begun, 0 missing" in printed
    assert "| mAP, seen → unseen |" in printed
    assert "Restored all states" in (stopped / "logs" / "fb_to_night_seed0.log").read_text()
    run(data_root, tmp_path / "straight")
    found, expected = (json.loads((folder / "results.json").read_text()) for folder in (stopped, straight))
    assert found["benchmark"] == expected["benchmark"]
    assert found["benchmark"]["steps"] == 18
    ((one,), (other,)) = found["cells"], expected["cells"]
    assert one["threads"] == 1
    assert {name: 0 < scores["mAP"] <= 1 for name, scores in one["seen"].items()} == dict.fromkeys(SEEN, True)
    varying = {"training_seconds": 0, "seen": 0, "commit": 0}
    assert {**one, **varying} == {**other, **varying}
