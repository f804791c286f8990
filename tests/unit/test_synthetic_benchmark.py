"""The synthetic benchmark's cells and sweep; in place of training stands a script of a few lines."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from dgreid.errors import InputError
from dgreid.run.folder import fingerprint
from dgreid.synthetic.draws import VERSION

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import synthetic_sweep
from synthetic import FOLDER, SEEDS
from synthetic_cells import METHODS, TARGETS, all_cells, check_configurations, configurations
from synthetic_sweep import Sweep, busy, duration

# Takes its orders from files beside it: how long to train, whether to fail. Appends what it was called with.
STAND_IN = """
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
typed = dict(word.split("=", 1) for word in sys.argv[1:])
evaluating = __file__.endswith("evaluate.py")
folder = pathlib.Path((typed["run"] if evaluating else typed["folder"]).strip('"'))
call = [pathlib.Path(__file__).name, sys.argv[1:], os.environ["OMP_NUM_THREADS"], os.getpid()]
with (here / "calls").open("a") as calls:
    print(json.dumps(call), file=calls)
names = typed["target"].strip("[]").split(",") if evaluating else ["synthetic_" + typed["protocol"][13:]]
if evaluating:
    folder = folder / "evaluations" / "sources"
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.yaml").write_text("")
if (here / "stubborn").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(here / "ready").touch()
time.sleep(float((here / "seconds").read_text()) if (here / "seconds").exists() else 0)
if typed.get("strategy") in (here / "failing").read_text().split():
    sys.exit("it failed")
if typed.get("strategy") == (here / "without_result").read_text():
    sys.exit(0)
(folder / "result.json").write_text(json.dumps({
    "summary": {name: {"mAP": 0.5, "rank1": 0.6} for name in names},
    "training_seconds": 7.0, "steps": 10, "fingerprint": "f",
    "environment": {"commit": "c", "threads": 1, "device": "cpu", "packages": {"torch": "2"}},
}))
"""


@pytest.fixture
def stage(tmp_path):
    """A folder with stand-ins for train.py and evaluate.py."""
    for name in ("train.py", "evaluate.py"):
        (tmp_path / name).write_text(STAND_IN)
    (tmp_path / "failing").write_text("")
    (tmp_path / "without_result").write_text("")
    return tmp_path


def cells_of(stage, methods=("fb", "fbf"), targets=("night",), seeds=(0,), extra=()):
    return all_cells(methods, targets, seeds, stage / "runs", extra)


def calls(stage):
    """Script, overrides and process of each call so far."""
    if not (stage / "calls").exists():
        return []
    return [json.loads(line) for line in (stage / "calls").read_text().splitlines()]


def finish(cell):
    """Writes what the sweep reads of a finished run."""
    cell.folder.mkdir(parents=True)
    row = {f"synthetic_{cell.target}": {"mAP": 0.1, "rank1": 0.2}}
    (cell.folder / "result.json").write_text(json.dumps({"summary": row}))


# Cells


def test_the_whole_benchmark_runs_all_methods_of_a_target_and_all_targets_of_a_seed_first():
    cells = all_cells(list(METHODS), TARGETS, SEEDS, FOLDER, ())
    assert len(cells) == len(set(cells)) == len({cell.folder for cell in cells}) == len({cell.log for cell in cells})
    assert [(cell.seed, cell.target) for cell in cells[:: len(METHODS)]] == [(s, t) for s in SEEDS for t in TARGETS]
    assert [cell.method for cell in cells[: len(METHODS)]] == list(METHODS)


def test_drawings_of_another_version_lie_elsewhere(stage):
    assert all(cell.folder.is_relative_to(stage / "runs" / f"v{VERSION}") for cell in cells_of(stage))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_composes_and_differs_from_the_base_in_its_method_alone(stage, method):
    (_, base), (_, config) = configurations(cells_of(stage, ("fb", method), ("campus",), (2,)))
    assert config["sources"] == ["synthetic_plaza", "synthetic_station", "synthetic_night"]
    assert (config["target"], config["seed"], config["selection"]) == ("synthetic_campus", 2, "last")
    differing = {name for name in config if config[name] != base[name]}
    assert differing <= {"strategy", "net", "loss_style", "memory_style", "folder"}
    assert {**config["net"], "neck_bias": ""} == {**base["net"], "neck_bias": ""}
    assert (config["net"]["neck_bias"] == "trainable") == method.startswith("m3l")
    assert method == "fb" or fingerprint(config) != fingerprint(base)


def test_ones_own_values_replace_those_of_the_cell(stage):
    (cell,) = cells_of(stage, ("fb",), extra=("trainer.accelerator=gpu", "steps_per_epoch=3", "data_root=/d"))
    assert "trainer.accelerator=cpu" not in cell.training()
    ((_, config),) = configurations([cell])
    assert (config["trainer"]["accelerator"], config["steps_per_epoch"]) == ("gpu", 3)
    assert "data_root=/d" in cell.seen_evaluation()
    assert "steps_per_epoch=3" not in cell.seen_evaluation()


@pytest.mark.parametrize(
    ("override", "message"),
    [("strategy=m3l", "strategy is what a cell is"), ("seed=4", "seed is what a cell is"), ("tiny", "key=value")],
)
def test_values_that_would_make_a_cell_another_one_are_refused(stage, override, message):
    with pytest.raises(InputError, match=message):
        cells_of(stage, extra=(override,))


def test_a_folder_of_another_configuration_is_refused_with_what_differs(stage):
    cells = cells_of(stage, seeds=(0, 1))
    now = dict(configurations(cells))
    for cell in cells[:2]:
        cell.folder.mkdir(parents=True)
        stored = {**now[cell], "steps_per_epoch": 77 if cell == cells[1] else now[cell]["steps_per_epoch"]}
        (cell.folder / "config.yaml").write_text(json.dumps({**stored, "data_root": "elsewhere"}))  # is YAML, too
    with pytest.raises(InputError, match=r"1 of 4 cells .*fbf.*steps_per_epoch was 77 and is") as caught:
        check_configurations(cells)
    assert "data_root" not in str(caught.value)
    check_configurations([cells[0], *cells[2:]])


# Sweep


def test_a_sweep_runs_what_is_missing_with_one_thread_each(stage):
    cells = cells_of(stage, seeds=(0, 1))
    finish(cells[1])
    Sweep(cells, 2, False, stage).run()
    assert {cell.state() for cell in cells} == {"finished"}
    assert sorted(words for _, words, _, _ in calls(stage)) == sorted(cells[i].training() for i in (0, 2, 3))
    assert {threads for _, _, threads, _ in calls(stage)} == {"1"}
    assert cells[1].result()["summary"]["synthetic_night"]["mAP"] == 0.1
    sweep = Sweep(cells, 2, False, stage)
    sweep.run()
    assert len(calls(stage)) == 3
    assert not sweep.failed


def test_what_was_begun_is_resumed(stage):
    (cell,) = cells_of(stage, ("fb",))
    cell.folder.mkdir(parents=True)
    (cell.folder / "config.yaml").write_text("")
    Sweep([cell], 1, False, stage).run()
    ((_, words, _, _),) = calls(stage)
    assert words == [*cell.training(), "resume=true"]


def test_a_failing_cell_stops_no_other_and_is_named_with_its_log(stage, capsys):
    (stage / "failing").write_text("fb")
    (stage / "without_result").write_text("il")
    cells = cells_of(stage, ("fb", "il", "fbf", "m3l"))
    sweep = Sweep(cells, 1, False, stage)
    sweep.run()
    assert list(sweep.failed) == cells[:2]
    assert str(cells[0].log) in sweep.failed[cells[0]]
    assert "ended with 1" in sweep.failed[cells[0]]
    assert "it failed" in cells[0].log.read_text()
    assert [cell.state() for cell in cells[2:]] == ["finished", "finished"]
    assert f"failed: {cells[1]}" in capsys.readouterr().out


def test_seen_evaluates_each_run_once_also_those_finished_before(stage):
    cells = cells_of(stage, ("fb",), ("night", "plaza"))
    Sweep(cells[:1], 1, False, stage).run()
    assert cells[0].seen_result() is None
    Sweep(cells, 1, True, stage).run()
    Sweep(cells, 1, True, stage).run()
    assert [name for name, *_ in calls(stage)] == ["train.py", "evaluate.py", "train.py", "evaluate.py"]
    assert set(cells[0].seen_result()) == set(cells[0].sources)
    assert "target=[synthetic_station,synthetic_campus,synthetic_night]" in calls(stage)[3][1]


def interrupt_when_ready(stage):
    while not (stage / "ready").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def is_gone(process):
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return False
    return True


@pytest.mark.parametrize("stubborn", [False, True])
def test_an_interrupted_sweep_ends_its_processes_and_goes_on_later(stage, stubborn, monkeypatch):
    monkeypatch.setattr(synthetic_sweep, "PATIENCE", 0.5)
    (stage / "seconds").write_text("60")
    if stubborn:
        (stage / "stubborn").touch()
    cells = cells_of(stage)
    interrupter = threading.Thread(target=interrupt_when_ready, args=(stage,))
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        Sweep(cells, 1, False, stage).run()
    interrupter.join()
    ((_, _, _, process),) = calls(stage)
    assert is_gone(process)
    assert [cell.state() for cell in cells] == ["begun", "missing"]
    (stage / "seconds").write_text("0")
    Sweep(cells, 1, False, stage).run()
    assert [words[-1] == "resume=true" for _, words, _, _ in calls(stage)] == [False, True, False]
    assert {cell.state() for cell in cells} == {"finished"}


def test_a_cell_that_another_process_runs_is_left_alone(stage):
    (cell,) = cells_of(stage, ("fb",))
    cell.log.parent.mkdir(parents=True)
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print('', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(cell.log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    holder.stdout.readline()
    assert busy(cell.log)
    sweep = Sweep([cell], 1, False, stage)
    sweep.run()
    holder.communicate("\n")
    assert "another process" in sweep.failed[cell]
    assert calls(stage) == []
    assert not busy(cell.log)


def test_the_time_left_counts_methods_by_their_cost_and_jobs(stage, capsys):
    cells = cells_of(stage, ("fb", "m3l"), ("night",), (0, 1))
    sweep = Sweep(cells, 2, False, stage)
    sweep._waiting, finished = cells[1:], cells[0]
    finish(finished)
    sweep._begun[finished] = time.monotonic() - 60
    sweep._finish(finished)
    # Waiting: M3L, FB, M3L, that is 3 + 1 + 3 minutes on two processes.
    assert "[1/4] fb to_night seed 0: mAP 10.0, Rank-1 20.0, 60 s; about 4 min left" in capsys.readouterr().out


def test_durations():
    assert [duration(s) for s in (12, 600, 7200)] == ["12 s", "10 min", "2.0 h"]
