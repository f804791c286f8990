"""When a run saves, by a clock that the test turns."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dgreid.errors import InputError
from dgreid.run import saving
from dgreid.run.saving import Interval, KeepLast, checkpoint_interval


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (None, Interval()),
        ("200 steps", Interval(steps=200)),
        ("1 step", Interval(steps=1)),
        ("10 minutes", Interval(minutes=10.0)),
        ("0.5 minutes", Interval(minutes=0.5)),
        (" 1 minute ", Interval(minutes=1.0)),
    ],
)
def test_intervals(value, interval):
    assert checkpoint_interval(value) == interval


@pytest.mark.parametrize(
    "value", [200, 0.5, True, "200", "0 steps", "1.5 steps", "0 minutes", "-1 steps", "2 hours", ""]
)
def test_other_intervals_are_refused(value):
    with pytest.raises(InputError, match=r"^checkpoint_every=.*'checkpoint_every=200 steps'.*null for each epoch$"):
        checkpoint_interval(value)


class Trainer(SimpleNamespace):
    """Counts steps of epochs of four, and notes what is saved."""

    def __init__(self, epochs=3, evaluate_every=99):
        super().__init__(
            global_step=0, current_epoch=0, num_training_batches=4, max_epochs=epochs, max_steps=-1, loggers=[],
            check_val_every_n_epoch=evaluate_every, is_global_zero=True, world_size=1, ckpt_path=None, saved=[],
        )  # fmt: skip

    def save_checkpoint(self, path, weights_only):
        assert path.name == "last.ckpt"
        assert weights_only is False
        self.saved.append(self.global_step)


def saved_by(tmp_path, interval, monkeypatch, seconds_per_step=1.0, **options):
    """The steps after which three epochs of four steps save."""
    trainer, keep, now = Trainer(**options), KeepLast(tmp_path, interval), [100.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: now[0])
    keep.on_train_start(trainer, None)
    try:
        for epoch in range(trainer.max_epochs):
            trainer.current_epoch = epoch
            for batch in range(4):
                keep.on_train_batch_start(trainer, None, None, batch)
                now[0] += seconds_per_step
                trainer.global_step += 1
            keep.on_train_epoch_end(trainer, None)
    finally:
        keep.on_train_end(trainer, None)
    return trainer.saved


@pytest.mark.parametrize(
    ("interval", "saved"),
    [
        (Interval(), [4, 8, 12]),
        (Interval(steps=1), list(range(1, 13))),
        (Interval(steps=3), [3, 6, 9, 12]),
        (Interval(steps=5), [5, 10, 12]),
        (Interval(steps=100), [12]),
        (Interval(minutes=5), [5, 10, 12]),
        (Interval(minutes=7), [7, 12]),
    ],
)
def test_when(tmp_path, monkeypatch, interval, saved):
    assert saved_by(tmp_path, interval, monkeypatch, seconds_per_step=60.0) == saved


def test_before_a_step_that_an_evaluation_follows(tmp_path, monkeypatch):
    assert saved_by(tmp_path, Interval(), monkeypatch, evaluate_every=2) == [4, 7, 8, 12]


def test_selection_rules_follow_a_moved_folder(tmp_path):
    old, new = "/elsewhere/run/checkpoints", tmp_path / "checkpoints"
    state = {
        "dirpath": old, "best_k_models": {f"{old}/source.ckpt": 0.5}, "best_model_path": f"{old}/source.ckpt",
        "kth_best_model_path": "",
    }  # fmt: skip
    other = {"seconds": 3.0}
    KeepLast(tmp_path, Interval()).on_load_checkpoint(None, None, {"callbacks": {"a": state, "b": other}})
    assert state == {
        "dirpath": str(new), "best_k_models": {str(new / "source.ckpt"): 0.5},
        "best_model_path": str(new / "source.ckpt"), "kth_best_model_path": "",
    }  # fmt: skip
    assert other == {"seconds": 3.0}
