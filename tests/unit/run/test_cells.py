"""Notes of a sweep's jobs, what a job returns, the table at the end, and which GPUs a job takes."""

from __future__ import annotations

import json

import pytest

from dgreid.errors import InputError
from dgreid.run import gpus
from dgreid.run.cells import (
    Cell,
    check_score_wanted,
    planned_cells,
    program,
    read_cells,
    source_score,
    write_plan,
)
from dgreid.run.gpus import own_gpus
from dgreid.run.launchers import missing_launcher
from dgreid.run.sweep_table import print_cell, print_sweep, short_names
from dgreid.run.sweeps import ended_cells


def cell(number, *words, **known):
    return Cell(number, ["experiment=demo", *words], **{"folder": None, **known})


def write_result(folder, **content):
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(content))
    return str(folder)


def test_a_note_takes_the_place_of_what_was_planned(tmp_path):
    plan = [cell(0, "seed=0"), cell(1, "seed=1")]
    write_plan(tmp_path, plan, "basic")
    done = plan[1]._replace(state="done")
    done.write(tmp_path)
    cell(11, "seed=11", state="failed", message="no").write(tmp_path)  # of a sweeper that decides as it goes
    assert planned_cells(tmp_path) == plan
    assert [(one.number, one.state, one.message) for one in read_cells(tmp_path)] == [
        (0, "planned", ""), (1, "done", ""), (11, "failed", "no"),
    ]  # fmt: skip


def test_a_job_is_run_by_what_its_sweep_was_started_by(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "-m"])
    monkeypatch.setitem(__import__("sys").modules, "__main__", type("", (), {"__spec__": None})())
    write_plan(tmp_path, [], "basic")
    monkeypatch.setattr("sys.argv", ["a worker of joblib's"])
    assert program() == ["a worker of joblib's"]
    monkeypatch.setenv("DGREID_SWEEP", str(tmp_path))
    assert program() == ["train.py"]


def test_a_jobs_value_is_the_sources_never_the_targets(tmp_path):
    scores = {"source": 0.25, "oracle_night": 0.75}
    folder = write_result(tmp_path / "a", selection_scores=scores, summary={"night": {"mAP": 0.75}})
    assert source_score(tmp_path / "a") == 0.25
    write_result(tmp_path / "b", selection_scores={"oracle_night": 0.75})
    assert source_score(tmp_path / "b") is None
    assert source_score(tmp_path / "nothing") is source_score(None) is None
    assert folder


def test_a_sweeper_that_chooses_needs_people_held_out():
    held = {"holdout": 0.1, "evaluate_every": 1}
    check_score_wanted("optuna", held)
    check_score_wanted("basic", {"holdout": 0.0, "evaluate_every": None})
    for lacking in ({"holdout": 0.0}, {"evaluate_every": None}):
        with pytest.raises(InputError, match=r"hydra/sweeper=optuna .*never the target's: give holdout=0\.1"):
            check_score_wanted("optuna", {**held, **lacking})


def test_the_end_tells_of_every_job(tmp_path, capsys):
    row = {"mAP": 0.4567, "rank1": 0.5}
    cells = [
        cell(0, "seed=0", state="done", folder=write_result(tmp_path / "0", summary={"night": row, "plaza": row})),
        cell(5, "seed=5", state="done", folder=write_result(tmp_path / "5", summary={"day": row}, variant=["use"])),
        cell(1, "seed=1", state="failed", message="seed=1: a reason"),
        cell(2, "seed=2", state="running"),  # on a cluster
        cell(3, "seed=3", state="stopped"),
        cell(4, "seed=4"),
    ]
    print_sweep(cells)
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "seed=0 done night 45.7 50.0", "seed=0 done plaza 45.7 50.0", "seed=1 failed", "seed=4 not run",
        "seed=5 done, variant day 45.7 50.0",
        "failed: seed=1: seed=1: a reason",
        "sweep of 6 runs: 2 done, 1 failed, 1 running, 1 stopped, 1 not run",
    ):  # fmt: skip
        assert line in told
    assert "resume=auto" in told[-1]
    print_sweep(cells[:1])
    assert "resume" not in capsys.readouterr().out
    print_cell(cells[0], cells)
    assert capsys.readouterr().out == "done: seed=0; night mAP 45.7, Rank-1 50.0; plaza mAP 45.7, Rank-1 50.0\n"


def test_a_job_without_a_last_word_was_killed_unless_the_cluster_runs_it(tmp_path):
    write_plan(tmp_path, [], "joblib")
    cell(0, "seed=0", state="running").write(tmp_path)
    (killed,) = ended_cells(tmp_path)
    assert (killed.state, killed.message[:11]) == ("failed", "its process")
    (tmp_path / "stopped").write_text("2")
    assert ended_cells(tmp_path)[0].state == "stopped"
    write_plan(tmp_path, [], "submitit_slurm")
    assert ended_cells(tmp_path)[0].state == "running"


def test_jobs_are_called_by_what_differs_and_by_what_a_table_is_made_of():
    cells = [cell(0, "strategy=fb", "optim.lr=1"), cell(1, "strategy=fb", "optim.lr=2")]
    assert short_names(cells) == ["strategy=fb optim.lr=1", "strategy=fb optim.lr=2"]
    assert short_names([cell(3, folder="runs/a/seed0")]) == ["seed0"]
    assert short_names([]) == []


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(gpus.torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,GPU-a,7")


@pytest.mark.usefixtures("four_gpus")
def test_jobs_at_once_take_gpus_of_their_own(tmp_path):
    with own_gpus(1, tmp_path) as first, own_gpus(2, tmp_path) as second:
        assert first == {"CUDA_VISIBLE_DEVICES": "4"}
        assert second == {"CUDA_VISIBLE_DEVICES": "5,GPU-a"}
        with own_gpus(1, tmp_path) as third:
            assert third == {"CUDA_VISIBLE_DEVICES": "7"}
            with own_gpus(1, tmp_path) as shared:  # more jobs than GPUs
                assert shared == first
        with own_gpus(2, tmp_path) as two:  # one alone is left, so both come from the second turn
            assert two == {"CUDA_VISIBLE_DEVICES": "4,5"}
    with own_gpus(4, tmp_path) as everything:
        assert everything == {"CUDA_VISIBLE_DEVICES": "4,5,GPU-a,7"}


@pytest.mark.usefixtures("four_gpus")
def test_more_gpus_than_there_are_is_for_the_run_to_refuse(tmp_path):
    with own_gpus(5, tmp_path) as none:
        assert none == {}


def test_without_the_variable_gpus_are_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus.torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with own_gpus(1, tmp_path) as first, own_gpus(1, tmp_path) as second:
        assert [first, second] == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]


def test_a_launcher_that_is_not_installed_is_told_with_its_extra():
    assert "pip install 'dgreid[joblib]'" in missing_launcher("joblib")
    assert "pip install 'dgreid[submitit]'" in missing_launcher("submitit_slurm")
    assert missing_launcher("ray") is None
