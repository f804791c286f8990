"""A run that was stopped anywhere and goes on is the run that was not stopped, bit for bit."""

from __future__ import annotations

import itertools
import json
import signal

import pytest
from interrupted_runs import (
    BrokenOffError,
    assert_same_run,
    at_step,
    break_off,
    checkpoint,
    curves,
    send,
)
from small_runs import strategies, train_small

from dgreid.run.interruption import Interrupted

RUN = ("epochs=3", "steps_per_epoch=4", "optim.lr=1e-3", "data.transform.random_erasing=0.5")
EVALUATED = (*RUN, "strategy=fb", "holdout=0.25", "evaluate_every=1", "selection=source")
EACH_STEP = "checkpoint_every=1 step"
GO_ON = "resume=true"


@pytest.fixture(scope="module")
def uninterrupted(data_root, tmp_path_factory):
    """Runs of twelve steps, trained when first asked for."""
    folders = {}

    def of(*overrides):
        if overrides not in folders:
            folder = tmp_path_factory.mktemp("whole") / "run"
            folders[overrides] = train_small(data_root, folder, *overrides)
        return folders[overrides]

    return of


def rows(folder):
    result = json.loads((folder / "result.json").read_text())
    return result["rows"], result["selection_scores"]


@pytest.mark.parametrize("strategy", strategies())
def test_killed_within_an_epoch(strategy, data_root, tmp_path, monkeypatch, uninterrupted):
    run = (*RUN, f"strategy={strategy}")
    with monkeypatch.context() as patch:
        at_step(patch, 6, "training_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *run, EACH_STEP)
    assert checkpoint(tmp_path / "run")["global_step"] == 6
    assert checkpoint(tmp_path / "run", "previous")["global_step"] == 5
    train_small(data_root, tmp_path / "run", *run, EACH_STEP, GO_ON)
    assert_same_run(tmp_path / "run", uninterrupted(*run), 12)


def test_a_row_of_the_curves_repeats_no_other(uninterrupted):
    """M3L logs the losses of the domains that a step trains on, which are others in another step."""
    rows = curves(uninterrupted(*RUN, "strategy=m3l_released"))
    losses = [name for name in rows[0] if "synthetic_" in name]
    assert any(row[name] == "" for row in rows for name in losses)
    for before, row in itertools.pairwise(rows):
        assert not [name for name in losses if row[name] and row[name] == before[name]]


@pytest.mark.parametrize("step", [0, 3, 4, 5, 7, 11])
def test_killed_anywhere(step, data_root, tmp_path, monkeypatch, uninterrupted):
    with monkeypatch.context() as patch:
        at_step(patch, step, "optimizer_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *EVALUATED, EACH_STEP)
    train_small(data_root, tmp_path / "run", *EVALUATED, GO_ON)
    whole = uninterrupted(*EVALUATED)
    assert_same_run(tmp_path / "run", whole, 12)
    assert rows(tmp_path / "run") == rows(whole)


@pytest.mark.parametrize(
    ("number", "code", "step"),
    [(signal.SIGTERM, 143, 0), (signal.SIGTERM, 143, 7), (signal.SIGINT, 130, 5), (signal.SIGUSR1, 138, 6)],
)
def test_a_signal_saves_the_step_and_stops(number, code, step, data_root, tmp_path, monkeypatch, uninterrupted):
    run, before = (*RUN, "strategy=fb"), signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(patch, step, "training_step", send(number))
        with pytest.raises(Interrupted) as stopped:
            train_small(data_root, tmp_path / "run", *run)
    assert stopped.value.code == code
    assert signal.getsignal(number) == before
    assert checkpoint(tmp_path / "run")["global_step"] == step + 1
    assert len(curves(tmp_path / "run")) == step + 1
    train_small(data_root, tmp_path / "run", *run, GO_ON)
    assert_same_run(tmp_path / "run", uninterrupted(*run), 12)


@pytest.mark.parametrize("place", ["validation_step", "on_validation_epoch_end"])
def test_a_signal_ends_an_evaluation_at_once(place, data_root, tmp_path, monkeypatch, uninterrupted):
    with monkeypatch.context() as patch:
        at_step(patch, 8, place, send(signal.SIGTERM))
        with pytest.raises(Interrupted):
            train_small(data_root, tmp_path / "run", *EVALUATED)
    assert checkpoint(tmp_path / "run")["global_step"] == 7
    train_small(data_root, tmp_path / "run", *EVALUATED, GO_ON)
    whole = uninterrupted(*EVALUATED)
    assert_same_run(tmp_path / "run", whole, 12)
    assert rows(tmp_path / "run") == rows(whole)


def test_a_signal_in_the_step_before_an_evaluation_does_not_wait_for_it(data_root, tmp_path, monkeypatch):
    def evaluates(module):
        raise AssertionError("an evaluation began")

    at_step(monkeypatch, 7, "training_step", send(signal.SIGTERM))
    at_step(monkeypatch, 8, "on_validation_epoch_start", evaluates)
    with pytest.raises(Interrupted):
        train_small(data_root, tmp_path / "run", *EVALUATED)
    assert checkpoint(tmp_path / "run")["global_step"] == 7


def test_a_second_ctrl_c_does_not_wait_for_the_step(data_root, tmp_path, monkeypatch):
    def twice(module):
        send(signal.SIGINT)(module)
        send(signal.SIGINT)(module)

    at_step(monkeypatch, 5, "training_step", twice)
    with pytest.raises(SystemExit) as stopped:
        train_small(data_root, tmp_path / "run", *RUN, "strategy=fb")
    assert isinstance(stopped.value.__context__, KeyboardInterrupt)
    assert checkpoint(tmp_path / "run")["global_step"] == 4


@pytest.mark.parametrize("steps", [8, 10])
def test_a_run_cut_by_max_steps_is_the_same_after_a_kill(steps, data_root, tmp_path, monkeypatch, uninterrupted):
    run = (*EVALUATED, f"trainer.max_steps={steps}")
    for step in (steps - 1, steps - 3):
        folder = tmp_path / str(step)
        with monkeypatch.context() as patch:
            at_step(patch, step, "training_step", break_off)
            with pytest.raises(BrokenOffError):
                train_small(data_root, folder, *run)
        train_small(data_root, folder, *run, GO_ON)
        assert_same_run(folder, uninterrupted(*run), steps)
        assert rows(folder) == rows(uninterrupted(*run))
