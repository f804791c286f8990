"""The share of time spent waiting for data, by a clock that the test turns."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from dgreid import callbacks
from dgreid.callbacks import (
    StepTimes,
    TrainingProgress,
    UnfinishedEpoch,
    embedding_progress,
    peak_memory_bytes,
    total_steps,
)


class Clock:
    """Time that passes only when told."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(callbacks.time, "perf_counter", lambda: self.now)


class Module:
    """Notes what is logged."""

    def __init__(self):
        self.logged = []

    def log_dict(self, values):
        self.logged.append(values)


def fit(times, clock, steps, log_every=1, evaluation=0.0, epochs=1, within_an_epoch=False):
    """Lets the hooks of a training loop pass; each step waits and computes for so many seconds."""
    trainer = SimpleNamespace(global_step=0, log_every_n_steps=log_every, is_global_zero=True)
    module = Module()
    times.on_train_start(trainer, module)
    for epoch in range(epochs):
        if epoch > 0 or not within_an_epoch:
            clock.now += evaluation
            times.on_train_epoch_start(trainer, module)
        for waiting, computing in steps:
            clock.now += waiting
            times.on_train_batch_start(trainer, module, None, 0)
            clock.now += computing
            trainer.global_step += 1
            times.on_train_batch_end(trainer, module, None, None, 0)
        times.on_train_epoch_end(trainer, module)
    return module.logged


def test_a_slow_loader_shows(monkeypatch, capsys):
    clock, times = Clock(monkeypatch), StepTimes()
    logged = fit(times, clock, [(3.0, 1.0), (0.0, 2.0)])
    assert [values["seconds_per_step"] for values in logged] == pytest.approx([4.0, 2.0])
    assert [values["data_wait"] for values in logged] == pytest.approx([0.75, 0.0])
    assert times.seconds == pytest.approx(6.0)
    assert "hint: 50 % of the time went into waiting for data" in capsys.readouterr().err


def test_means_over_the_steps_since_the_last_log(monkeypatch):
    logged = fit(StepTimes(), Clock(monkeypatch), [(1.0, 1.0), (0.0, 4.0), (0.0, 1.0)], log_every=2)
    assert len(logged) == 1
    assert logged[0] == pytest.approx({"seconds_per_step": 3.0, "data_wait": 1 / 6})


def test_evaluation_is_not_waiting(monkeypatch, capsys):
    clock, times = Clock(monkeypatch), StepTimes()
    logged = fit(times, clock, [(0.1, 0.9)], evaluation=50.0, epochs=3)
    assert [values["data_wait"] for values in logged] == pytest.approx([0.1] * 3)
    assert times.seconds == pytest.approx(3.0)
    assert capsys.readouterr().err == ""


def test_a_run_that_is_resumed_within_an_epoch_waits_for_its_first_batch_too(monkeypatch):
    times = StepTimes()
    logged = fit(times, Clock(monkeypatch), [(3.0, 1.0)], epochs=2, within_an_epoch=True)
    assert [values["data_wait"] for values in logged] == pytest.approx([0.75] * 2)
    assert times.seconds == pytest.approx(8.0)


def test_the_hint_comes_once(monkeypatch, capsys):
    fit(StepTimes(), Clock(monkeypatch), [(1.0, 1.0)], epochs=3)
    assert capsys.readouterr().err.count("hint") == 1


def test_a_resumed_run_reports_all_its_time(monkeypatch):
    clock, first, second = Clock(monkeypatch), StepTimes(), StepTimes()
    fit(first, clock, [(0.5, 1.5)])
    second.load_state_dict(first.state_dict())
    fit(second, clock, [(0.0, 1.0)])
    assert second.seconds == pytest.approx(3.0)


def test_the_line_of_an_epoch_that_a_resumed_run_starts_within(monkeypatch, capsys):
    clock, progress = Clock(monkeypatch), TrainingProgress()
    trainer = SimpleNamespace(
        is_global_zero=True, global_step=8, current_epoch=1, callback_metrics={"loss": torch.tensor(2.5)},
        num_training_batches=4, max_epochs=3, max_steps=-1,
    )  # fmt: skip
    progress.on_train_start(trainer, None)
    clock.now += 7
    progress.on_train_epoch_end(trainer, None)
    assert capsys.readouterr().err == "epoch 1: step 8/12, loss 2.500, 7 s\n"


def saved_loops(step, fetched=0):
    """What Lightning counts after a step of epochs of four, further batches fetched."""
    epochs, within = -(-step // 4), (step - 1) % 4 + 1
    batches = {"ready": within + fetched, "started": within, "processed": within, "completed": within}
    progress = {"total": {"processed": epochs}, "current": {"processed": epochs}}
    of_batches = {"total": dict(batches), "current": batches, "is_last_batch": within + fetched == 4}
    return {"fit_loop": {"epoch_progress": progress, "epoch_loop.batch_progress": of_batches}}


@pytest.mark.parametrize(("step", "processed"), [(4, 1), (6, 1), (7, 1), (8, 2)])
def test_an_epoch_that_was_cut_short_is_not_over(step, processed):
    trainer, loops = SimpleNamespace(global_step=step, num_training_batches=4), saved_loops(step)
    UnfinishedEpoch().on_save_checkpoint(trainer, None, {"loops": loops})
    assert {count["processed"] for count in loops["fit_loop"]["epoch_progress"].values()} == {processed}
    assert loops["fit_loop"]["epoch_loop.batch_progress"] == saved_loops(step)["fit_loop"]["epoch_loop.batch_progress"]


def test_a_batch_whose_step_has_not_begun_is_fetched_again():
    trainer, loops = SimpleNamespace(global_step=7, num_training_batches=4), saved_loops(7, fetched=1)
    UnfinishedEpoch().on_save_checkpoint(trainer, None, {"loops": loops})
    assert loops["fit_loop"]["epoch_loop.batch_progress"] == saved_loops(7)["fit_loop"]["epoch_loop.batch_progress"]


@pytest.mark.parametrize(("max_steps", "expected"), [(-1, 12), (5, 5), (0, 0), (50, 12)])
def test_total_steps(max_steps, expected):
    assert total_steps(SimpleNamespace(num_training_batches=4, max_epochs=3, max_steps=max_steps)) == expected


def test_peak_memory_is_in_bytes():
    assert 20 * 2**20 < peak_memory_bytes()["process"] < 2**40


def evaluated(monkeypatch, *, terminal=True, rank_zero=True, processes=1):
    """What an evaluation of ten images in batches of four shows, and whether its callbacks are as before."""
    out = io.StringIO()
    monkeypatch.setattr(callbacks, "Console", lambda stderr: Console(file=out, force_terminal=terminal, width=100))
    before = [object()]
    trainer = SimpleNamespace(is_global_zero=rank_zero, world_size=processes, callbacks=list(before))
    shown = []
    with embedding_progress(trainer, 10):
        for size in (4, 4, 2)[:: 1 if processes == 1 else 2]:
            for callback in trainer.callbacks[1:]:
                callback.on_validation_batch_end(trainer, None, None, SimpleNamespace(indices=range(size)), 0, 1)
                shown.append(callback.done)
    assert trainer.callbacks == before
    return shown, out.getvalue()


def test_an_evaluation_has_a_bar_on_a_terminal(monkeypatch):
    shown, text = evaluated(monkeypatch)
    assert shown == [4, 8, 10]
    assert "embedding" in text
    assert "10/10" in text


def test_a_bar_of_two_processes_counts_the_images_of_both(monkeypatch):
    assert evaluated(monkeypatch, processes=2)[0] == [8, 10]


@pytest.mark.parametrize("where", [{"terminal": False}, {"rank_zero": False}])
def test_elsewhere_an_evaluation_shows_no_bar(monkeypatch, where):
    assert evaluated(monkeypatch, **where) == ([], "")
