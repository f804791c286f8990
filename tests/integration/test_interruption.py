"""A run that was stopped anywhere and goes on is the run that was not stopped, bit for bit."""

from __future__ import annotations

import pytest
from interrupted_runs import BrokenOffError, assert_same_run, at_step, break_off, checkpoint
from small_runs import strategies, train_small

RUN = ("epochs=3", "steps_per_epoch=4", "optim.lr=1e-3", "data.transform.random_erasing=0.5")
EVALUATED = (*RUN, "holdout=0.25", "evaluate_every=1", "selection=source")
EACH_STEP = "checkpoint_every=1 step"


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


@pytest.mark.parametrize("strategy", strategies())
def test_killed_within_an_epoch(strategy, data_root, tmp_path, monkeypatch, uninterrupted):
    run = (*RUN, f"strategy={strategy}")
    with monkeypatch.context() as patch:
        at_step(patch, 6, "training_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *run, EACH_STEP)
    assert checkpoint(tmp_path / "run")["global_step"] == 6
    assert checkpoint(tmp_path / "run", "previous")["global_step"] == 5
    train_small(data_root, tmp_path / "run", *run, EACH_STEP, "resume=true")
    assert_same_run(tmp_path / "run", uninterrupted(*run), 12)
