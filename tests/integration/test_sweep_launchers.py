"""Sweeps as they are typed: several runs at once, a sweeper that chooses, a stopped sweep, a killed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_runs import typed
from test_commands import ROOT, assert_message, command

pytestmark = pytest.mark.slow

# A sweeper that does as it is told, and then says what each job returned.
CHOOSING = """
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

class Choosing(BasicSweeper):
    def sweep(self, arguments):
        for batch in super().sweep(arguments):
            print("values:", [job.return_value for job in batch])

ConfigStore.instance().store(
    group="hydra/sweeper", name="choosing",
    node={"_target_": "hydra_plugins.choosing.Choosing", "max_batch_size": None, "params": None},
)
"""


def results(folder: Path) -> dict[int, dict]:
    """By seed."""
    found = [json.loads(file.read_text()) for file in folder.rglob("result.json")]
    return {result["seed"]: result for result in found}


def last_note(folder: Path, number: int) -> dict:
    return json.loads(max((folder / ".sweeps").glob(f"*/{number}.json")).read_text())


@pytest.mark.parametrize(
    ("package", "launcher"),
    [
        ("hydra_plugins.hydra_joblib_launcher", ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")),
        ("hydra_plugins.hydra_submitit_launcher", ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5")),
    ],
)
def test_a_launcher_runs_all_and_tells_which_failed(package, launcher, data_root, tmp_path):
    pytest.importorskip(package)
    words = typed(data_root, f"runs={tmp_path}", "epochs=1", "data.workers=0")
    done = command("train.py", "-m", *words, "seed=0,x,1", *launcher)
    assert done.returncode == 1, done.stderr
    assert "sweep of 3 runs: 2 done, 1 failed" in done.stdout
    assert "failed: seed=x: seed=x: a whole number" in done.stdout
    assert done.stderr.strip().splitlines()[-1].startswith("error: not every run of this sweep succeeded")
    assert set(results(tmp_path)) == {0, 1}
    finished = {seed: result["finished"] for seed, result in results(tmp_path).items()}
    again = command("train.py", "-m", *words, "seed=0,1", "resume=auto", *launcher)
    assert again.returncode == 0, again.stderr
    assert "sweep of 2 runs: 2 done" in again.stdout
    assert {seed: result["finished"] for seed, result in results(tmp_path).items()} == finished


def test_a_sweeper_sees_the_sources_validation_and_nothing_of_the_target(data_root, tmp_path):
    plugins = tmp_path / "hydra_plugins"
    plugins.mkdir()
    (plugins / "choosing.py").write_text(CHOOSING)
    path = {"PYTHONPATH": str(tmp_path)}
    words = typed(data_root, f"runs={tmp_path / 'runs'}", "hydra/sweeper=choosing", "epochs=1")
    without = command("train.py", "-m", *words, "seed=0", **path)
    assert without.returncode == 1
    assert without.stderr.startswith("error: hydra/sweeper=choosing chooses by a job's value")
    assert "holdout=0.1" in without.stderr
    assert results(tmp_path) == {}
    held = ("holdout=0.3", "evaluate_every=1", "data.identities_per_batch=2")
    done = command("train.py", "-m", *words, *held, "seed=0,1", **path)
    assert done.returncode == 0, done.stderr
    found = results(tmp_path)
    assert f"values: {[found[seed]['selection_scores']['source'] for seed in (0, 1)]}" in done.stdout
    assert all(found[seed]["selection_scores"]["source"] != found[seed]["rows"][0]["mAP"] for seed in found)


def test_a_stopped_sweep_of_several_at_once_stops_its_runs_and_begins_no_other(data_root, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = typed(data_root, f"runs={tmp_path}", "epochs=2", "steps_per_epoch=400", "data.workers=0")
    words += ["seed=0,1,2", "resume=auto", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    sweep = subprocess.Popen(
        [sys.executable, "train.py", "-m", *words], cwd=ROOT, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    end = time.monotonic() + 300
    while len(list(tmp_path.rglob("config.yaml"))) < 2:
        assert time.monotonic() < end
        assert sweep.poll() is None, sweep.communicate()[0]
        time.sleep(0.1)
    os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does
    said = sweep.communicate(timeout=120)[0]
    assert sweep.returncode == 130, said
    assert "sweep of 3 runs: 2 stopped, 1 not run" in said
    assert not list(tmp_path.rglob("failed.json"))
    assert results(tmp_path) == {}
    assert last_note(tmp_path, 0)["state"] == "stopped"


def test_a_killed_run_fails_alone_and_is_told(data_root, tmp_path):
    words = typed(data_root, f"runs={tmp_path}", "steps_per_epoch=100000", "data.workers=0")
    sweep = subprocess.Popen(
        [sys.executable, "train.py", "-m", *words, "seed=0,1x"], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"},
    )  # fmt: skip
    end = time.monotonic() + 300
    while not list(tmp_path.rglob("metrics.csv")):
        assert time.monotonic() < end
        time.sleep(0.1)
    (lock,) = tmp_path.rglob(".lock")
    os.kill(json.loads(lock.read_text())["pid"], signal.SIGKILL)
    said = sweep.communicate(timeout=120)[0]
    assert sweep.returncode == 1, said
    assert "sweep of 2 runs: 2 failed" in said
    assert "was ended by SIGKILL" in json.loads((lock.parent / "failed.json").read_text())["message"]
    assert "seed=1x: a whole number" in said


@pytest.mark.parametrize(("launcher", "extra"), [("joblib", "joblib"), ("submitit_slurm", "submitit")])
def test_an_absent_launcher_is_told_with_its_extra(launcher, extra, tmp_path):
    hidden = tmp_path / "hide.py"
    hidden.write_text(
        "import sys, hydra_plugins\n"
        "hydra_plugins.__path__ = []\n"
        "sys.argv[0] = 'train.py'\n"
        "from dgreid.train import main\n"
        "main()\n"
    )
    done = command(str(hidden), "-m", "experiment=demo", "seed=0,1", f"hydra/launcher={launcher}", f"runs={tmp_path}")
    assert_message(done, f"hydra/launcher={launcher}: a package is missing", f"pip install 'dgreid[{extra}]'")


def test_slurm_is_looked_for_before_anything_begins(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    words = ("experiment=demo", "seed=0,1", "hydra/launcher=submitit_slurm", f"runs={tmp_path}")
    assert_message(command("train.py", "-m", *words, PATH=str(tmp_path)), "there is no srun here")
