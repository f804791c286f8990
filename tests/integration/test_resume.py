"""An interrupted and resumed run is the uninterrupted one, bit for bit."""

from __future__ import annotations

import json

import pytest
from interrupted_runs import BrokenOffError, assert_same_run, at_step, break_off, checkpoint, curves
from small_runs import strategies, train_small

RUN = ("epochs=3", "steps_per_epoch=4", "optim.lr=1e-3", "data.transform.random_erasing=0.5")


@pytest.fixture(scope="module")
def uninterrupted(data_root, tmp_path_factory):
    """Runs of twelve steps, one for each strategy, trained when first asked for."""
    folders = {}

    def of(strategy):
        if strategy not in folders:
            folder = tmp_path_factory.mktemp("whole") / strategy
            folders[strategy] = train_small(data_root, folder, *RUN, f"strategy={strategy}")
        return folders[strategy]

    return of


@pytest.mark.parametrize("strategy", strategies())
def test_resumed_after_an_exception_within_a_step(strategy, data_root, tmp_path, monkeypatch, uninterrupted):
    whole = uninterrupted(strategy)
    with monkeypatch.context() as patch:
        at_step(patch, 7, "training_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *RUN, f"strategy={strategy}")
    assert checkpoint(tmp_path / "run")["global_step"] == 4
    train_small(data_root, tmp_path / "run", *RUN, f"strategy={strategy}", "resume=true")
    assert_same_run(tmp_path / "run", whole, 12)


@pytest.mark.parametrize("steps", [4, 6])
def test_resumed_after_max_steps(steps, data_root, tmp_path, uninterrupted):
    whole = uninterrupted("fb")
    train_small(data_root, tmp_path / "run", *RUN, "strategy=fb", f"trainer.max_steps={steps}")
    assert checkpoint(tmp_path / "run")["global_step"] == steps
    train_small(data_root, tmp_path / "run", *RUN, "strategy=fb", "resume=true")
    assert_same_run(tmp_path / "run", whole, 12)


def test_a_finished_run_is_made_longer(data_root, tmp_path, uninterrupted):
    whole = uninterrupted("fbf")
    train_small(data_root, tmp_path / "run", *RUN, "strategy=fbf", "epochs=2")
    train_small(data_root, tmp_path / "run", *RUN, "strategy=fbf", "resume=true")
    assert_same_run(tmp_path / "run", whole, 12)


def test_broken_off_before_the_first_checkpoint(data_root, tmp_path, monkeypatch, uninterrupted):
    whole = uninterrupted("fb")
    with monkeypatch.context() as patch:
        at_step(patch, 1, "optimizer_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *RUN, "strategy=fb")
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
    train_small(data_root, tmp_path / "run", *RUN, "strategy=fb", "resume=true")
    assert_same_run(tmp_path / "run", whole, 12)


def test_the_best_checkpoints_are_remembered(data_root, tmp_path, monkeypatch):
    rules = (*RUN, "strategy=fb", "holdout=0.25", "evaluate_every=1", "selection=source")
    train_small(data_root, tmp_path / "whole", *rules)
    with monkeypatch.context() as patch:
        at_step(patch, 9, "training_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *rules)
    train_small(data_root, tmp_path / "run", *rules, "resume=true")
    found, expected = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("run", "whole"))
    assert found["rows"] == expected["rows"]
    assert found["selection_scores"] == expected["selection_scores"]
    assert curves(tmp_path / "run") == curves(tmp_path / "whole")
