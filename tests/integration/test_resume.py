"""An interrupted and resumed run is the uninterrupted one, bit for bit."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from small_runs import strategies, train_small

from dgreid.module import ReIDModule

RUN = ("epochs=3", "steps_per_epoch=4", "optim.lr=1e-3", "data.transform.random_erasing=0.5")
TIMES = {"seconds_per_step", "data_wait"}


class BrokenOffError(Exception):
    """What a test raises in the middle of a step."""


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


def checkpoint(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same(one, other, place=""):
    """Equal to the last bit, whatever the nesting."""
    assert type(one) is type(other), place
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for position, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{place}/{position}")
    else:
        assert one == other, place


def metrics(folder):
    with (folder / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def assert_same_run(folder, whole):
    found, expected = checkpoint(folder), checkpoint(whole)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert_same(found[part], expected[part], part)
    assert metrics(folder) == metrics(whole)
    assert len(metrics(folder)) == 12


def break_off(monkeypatch, step, method):
    """Lets a method of the module raise at a step, in the middle of what it does."""
    original = getattr(ReIDModule, method)

    def broken(self, *args, **kwargs):
        if self.trainer.global_step == step:
            with torch.no_grad():
                for buffer in self.net.buffers():
                    buffer.add_(1)  # as a forward that was under way would have
            raise BrokenOffError(f"step {step}")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(ReIDModule, method, broken)


@pytest.mark.parametrize("strategy", strategies())
def test_resumed_after_an_exception_within_a_step(strategy, data_root, tmp_path, monkeypatch, uninterrupted):
    whole = uninterrupted(strategy)
    with monkeypatch.context() as patch:
        break_off(patch, 7, "training_step")
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *RUN, f"strategy={strategy}")
    assert checkpoint(tmp_path / "run")["global_step"] == 4
    train_small(data_root, tmp_path / "run", *RUN, f"strategy={strategy}", "resume=true")
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.parametrize("strategy", strategies())
@pytest.mark.parametrize("steps", [4, 6])
def test_resumed_after_max_steps(strategy, steps, data_root, tmp_path, uninterrupted):
    whole = uninterrupted(strategy)
    train_small(data_root, tmp_path / "run", *RUN, f"strategy={strategy}", f"trainer.max_steps={steps}")
    assert checkpoint(tmp_path / "run")["global_step"] == steps
    train_small(data_root, tmp_path / "run", *RUN, f"strategy={strategy}", "resume=true")
    assert_same_run(tmp_path / "run", whole)


def test_a_finished_run_is_made_longer(data_root, tmp_path, uninterrupted):
    whole = uninterrupted("fbf")
    train_small(data_root, tmp_path / "run", *RUN, "strategy=fbf", "epochs=2")
    train_small(data_root, tmp_path / "run", *RUN, "strategy=fbf", "resume=true")
    assert_same_run(tmp_path / "run", whole)


def test_broken_off_before_the_first_checkpoint(data_root, tmp_path, monkeypatch, uninterrupted):
    whole = uninterrupted("fb")
    with monkeypatch.context() as patch:
        break_off(patch, 1, "optimizer_step")
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *RUN, "strategy=fb")
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
    train_small(data_root, tmp_path / "run", *RUN, "strategy=fb", "resume=true")
    assert_same_run(tmp_path / "run", whole)


def test_the_best_checkpoints_are_remembered(data_root, tmp_path, monkeypatch):
    rules = (*RUN, "strategy=fb", "holdout=0.25", "evaluate_every=1", "selection=source")
    train_small(data_root, tmp_path / "whole", *rules)
    with monkeypatch.context() as patch:
        break_off(patch, 9, "training_step")
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *rules)
    train_small(data_root, tmp_path / "run", *rules, "resume=true")
    found, expected = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("run", "whole"))
    assert found["rows"] == expected["rows"]
    assert found["selection_scores"] == expected["selection_scores"]
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")
