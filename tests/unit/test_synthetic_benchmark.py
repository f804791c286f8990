"""The synthetic benchmark's cells, sweep and tables; in place of training stands a script of a few lines."""

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
from synthetic import FOLDER, PUBLISHED, SEEDS, argument_parser, once, results_file
from synthetic_cells import METHODS, TARGETS, all_cells, changes_results, check_configurations, configurations
from synthetic_sweep import Sweep, busy, duration
from synthetic_table import record, size, summary, tables

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


def finish(cell, score, rank1=0.5, seen=None, seconds=100.0):
    """Writes what a finished run would have written."""
    cell.folder.mkdir(parents=True)
    environment = {"commit": "abc", "threads": 1, "device": "cpu", "packages": {"torch": "2.15.0"}}
    summary_of = {f"synthetic_{cell.target}": {"mAP": score, "rank1": rank1}}
    content = {"summary": summary_of, "training_seconds": seconds, "steps": 10, "fingerprint": "f"}
    (cell.folder / "result.json").write_text(json.dumps({**content, "environment": environment}))
    if seen is not None:
        folder = cell.folder / "evaluations" / "some"
        folder.mkdir(parents=True)
        scored = {name: {"mAP": seen, "rank1": rank1} for name in cell.sources}
        (folder / "result.json").write_text(json.dumps({"summary": scored}))


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
    finish(cells[1], 0.1)
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
    finish(finished, 0.5)
    sweep._begun[finished] = time.monotonic() - 60
    sweep._finish(finished)
    # Waiting: M3L, FB, M3L, that is 3 + 1 + 3 minutes on two processes.
    assert "[1/4] fb to_night seed 0: mAP 50.0, Rank-1 50.0, 60 s; about 4 min left" in capsys.readouterr().out


def test_durations():
    assert [duration(s) for s in (12, 600, 7200)] == ["12 s", "10 min", "2.0 h"]


# Tables


@pytest.fixture
def finished(stage):
    """Two methods, two targets, three seeds; FBF is 0.10 and 0.20 better, one of its runs is missing."""
    cells = all_cells(("fb", "fbf"), ("plaza", "night"), (0, 1, 2), stage / "runs", ())
    for cell in cells:
        better = 0 if cell.method == "fb" else 0.1 if cell.target == "plaza" else 0.2
        if (cell.method, cell.target, cell.seed) != ("fbf", "night", 2):
            finish(cell, 0.4 + better + 0.01 * (cell.seed - 1), seen=0.9, seconds=100.0 + cell.seed)
    return [cell for cell in cells if cell.state() == "finished"]


def test_the_tables_by_hand(finished):
    text = tables([record(cell) for cell in finished], ("plaza", "night"))
    lines = text.splitlines()
    # FB: 39, 40, 41 everywhere. FBF: 49, 50, 51 and 59, 60; means 54 and 55; to FB ((50 - 40) + (59.5 - 40)) / 2.
    assert "| `fb` | 40.0 ± 1.0 | 40.0 ± 1.0 | 40.0 ± 1.0 | - |" in lines
    # Variances over runs: 1/3 each of three, 0.5 / 2; their sum over the squared number of targets is 0.3125.
    assert "| `fbf` | 50.0 ± 1.0 | 59.5 ± 0.7 (2 of 3) | 54.5 ± 0.7 (2 of 3) | +14.8 ± 0.6 |" in lines
    assert "| `fbf` | 5 | 101 |" in lines
    # Each domain was seen by the runs to the other one.
    assert "| `fb` | 90.0 → 40.0 | 90.0 → 40.0 | 90.0 → 40.0 | 50.0 |" in lines


def test_the_resolution_is_in_points_and_for_the_planned_number_of_runs(finished):
    found = summary([record(cell) for cell in finished], ("plaza", "night"))["mAP"]["within_cells"]
    # Squares 2, 2, 2, 0.5 with 7 degrees; t(0.975; 7) = 2.364624.
    assert found["standard_deviation"] == pytest.approx((6.5 / 7) ** 0.5)
    assert found["degrees_of_freedom"] == 7
    expected = 2.364624 * (6.5 / 7) ** 0.5
    assert found["smallest_difference_on_one_target"] == pytest.approx(expected * (2 / 3) ** 0.5, rel=1e-6)
    assert found["smallest_difference_on_mean_over_targets"] == pytest.approx(expected * (2 / 6) ** 0.5, rel=1e-6)


def test_a_record_keeps_fractions_and_where_they_come_from(finished):
    found = record(finished[0])
    assert (found["method"], found["target"], found["seed"], found["mAP"]) == ("fb", "plaza", 0, 0.39)
    assert (found["commit"], found["threads"], found["torch"]) == ("abc", 1, "2.15.0")
    assert set(found["seen"]) == {"station", "campus", "night"}


def test_runs_of_two_sizes_share_no_table(stage):
    cells = cells_of(stage)
    for cell, config in list(configurations(cells)):
        finish(cell, 0.5)
        (cell.folder / "config.yaml").write_text(json.dumps(config))
    assert size(cells)["steps"] == config["epochs"] * config["steps_per_epoch"]
    (cells[1].folder / "config.yaml").write_text(json.dumps({**config, "steps_per_epoch": 7}))
    with pytest.raises(InputError, match=r"fbf.*another benchmark.*steps"):
        size(cells)


# The command


def test_only_the_whole_benchmark_overwrites_the_published_results():
    whole = len(METHODS) * len(TARGETS) * len(SEEDS)

    def written(*words, finished=whole):
        return results_file(argument_parser().parse_args(words), finished)

    assert written() == written("--", "data_root=/d") == PUBLISHED
    part = FOLDER / f"v{VERSION}" / "results.json"
    assert written(finished=whole - 1) == written("--", "steps_per_epoch=5") == part
    assert written("--seeds", "0", "1", "3") == part
    assert written("--folder", "other") == Path("other") / f"v{VERSION}" / "results.json"
    assert written("--json", "here.json", "--seeds", "0") == Path("here.json")


def test_places_and_devices_change_no_result():
    assert not changes_results(["data_root=/d", "trainer.accelerator=gpu", "synthetic.folder=/f"])
    assert changes_results(["data_root=/d", "synthetic=tiny"])


def test_repetitions_count_once():
    assert once([2, 0, 2]) == [2, 0]
