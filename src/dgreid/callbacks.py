"""What a run shows and counts while it trains."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dgreid.progress import progress

WAITING_HINT_SHARE = 0.2


class StepTimes(Callback):
    """Measures the seconds a step takes and the share of them spent waiting for data.

    Logs ``seconds_per_step`` and ``data_wait`` (0..1) over the steps since the last log, and hints once, at the end
    of an epoch, if the share is above 20 %.

    Attributes:
        seconds: training time so far, without evaluations.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ready = 0.0
        self._waiting = self._total = 0.0
        self._steps = 0
        self._waited = 0.0
        self._epoch_waiting = self._epoch_total = 0.0
        self._hinted = False

    def state_dict(self) -> dict[str, Any]:
        """The training time so far, so that a resumed run reports all of it."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the time of the interrupted run."""
        self.seconds = float(state_dict["seconds"])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock, since a run that is resumed within an epoch does not start one."""
        self._ready = time.perf_counter()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock anew: what an evaluation took before this is not waiting."""
        self._ready = time.perf_counter()
        self._epoch_waiting = self._epoch_total = 0.0

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """The batch has arrived: what has passed since the last step was waiting."""
        self._waited = time.perf_counter() - self._ready

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The step is over: adds it up and logs."""
        seconds = time.perf_counter() - self._ready
        self._waiting += self._waited
        self._total += seconds
        self._steps += 1
        self.seconds += seconds
        self._epoch_waiting += self._waited
        self._epoch_total += seconds
        assembled: Any = trainer  # what its parts set on it is not declared
        if trainer.global_step % max(assembled.log_every_n_steps, 1) == 0:
            values = {"seconds_per_step": self._total / self._steps, "data_wait": self._waiting / self._total}
            pl_module.log_dict(values)
            self._waiting = self._total = 0.0
            self._steps = 0
        self._ready = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Says once what to do about slow loading."""
        if self._hinted or not self._epoch_total or self._epoch_waiting / self._epoch_total <= WAITING_HINT_SHARE:
            return
        self._hinted = True
        if trainer.is_global_zero:
            share = 100 * self._epoch_waiting / self._epoch_total
            print(
                f"hint: {share:.0f} % of the time went into waiting for data; try data.cache=disk or more data.workers",
                file=sys.stderr,
            )


class RowsOfOneStep(Callback):
    """Lets a row of the curves hold what its own step logged.

    Lightning repeats a value through the epoch where later steps log none of that name, and a run that is resumed
    within the epoch cannot.
    """

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Forgets what the step before logged."""
        trainer.fit_loop.epoch_loop._results.reset()


class UnfinishedEpoch(Callback):
    """Lets a run that was saved within an epoch be resumed there.

    Lightning counts an epoch that ``max_steps`` cut as over: the resumed run would train the next one in full, at the
    old learning rate. It counts the batch that was fetched when a checkpoint was written before its step. And with
    ``max_steps`` it takes a run for one without epochs, which then is over with the epoch that it was saved after.
    """

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """A run has epochs, also one with ``max_steps``."""
        loop: Any = trainer.fit_loop  # it has no option for this: its own question is answered for it
        loop._iteration_based_training = lambda: False

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes the epoch back if steps of it are left, and a batch whose step has not begun."""
        loop = checkpoint["loops"]["fit_loop"]
        finished, within = divmod(trainer.global_step, int(trainer.num_training_batches))
        for epochs in loop["epoch_progress"].values():
            epochs["processed"] = min(epochs["processed"], finished)
        batches = loop["epoch_loop.batch_progress"]
        for counted in (batches["total"], batches["current"]):
            counted["ready"] = counted["started"]
        batches["is_last_batch"] = batches["is_last_batch"] and within == 0


class TrainingProgress(Callback):
    """One bar over the whole run on a terminal; a line per epoch in a log file."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._epoch_start = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Opens the bar at the step a resumed run starts from, which may be within an epoch."""
        self._epoch_start = time.perf_counter()
        if not (trainer.is_global_zero and self.console.is_terminal):
            return
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TextColumn("{task.fields[seconds]:.2f} s/step"),
            TextColumn("data wait {task.fields[wait]:.0%}"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._progress.start()
        total, unknown = total_steps(trainer), float("nan")
        self._task = self._progress.add_task(
            "train", total=total, completed=trainer.global_step, epoch=0, loss=unknown, seconds=0.0, wait=0.0
        )

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Remembers when the epoch began."""
        self._epoch_start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar."""
        if self._progress is None or self._task is None:
            return
        numbers = trainer.callback_metrics
        self._progress.update(
            self._task, completed=trainer.global_step, epoch=trainer.current_epoch, loss=float(numbers["loss"]),
            seconds=float(numbers.get("seconds_per_step", torch.tensor(0.0))),
            wait=float(numbers.get("data_wait", torch.tensor(0.0))),
        )  # fmt: skip

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Without a terminal: one line."""
        if not trainer.is_global_zero or self._progress is not None:
            return
        loss = float(trainer.callback_metrics.get("loss", torch.tensor(float("nan"))))
        seconds = time.perf_counter() - self._epoch_start
        self.console.print(
            f"epoch {trainer.current_epoch}: step {trainer.global_step}/{total_steps(trainer)}, "
            f"loss {loss:.3f}, {seconds:.0f} s"
        )

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Closes the bar."""
        self._close()

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Closes the bar, so that the message that follows is readable."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


@contextmanager
def embedding_progress(trainer: lightning.Trainer, images: int) -> Iterator[None]:
    """Within it, an evaluation of so many images has a bar, on a terminal and on rank 0 alone."""
    console = Console(stderr=True)
    if not (trainer.is_global_zero and console.is_terminal):
        yield
        return
    with progress("embedding", images, console) as advance:
        counting = _Embedded(advance, images)
        callbacks_of(trainer).append(counting)
        try:
            yield
        finally:
            callbacks_of(trainer).remove(counting)


class _Embedded(Callback):
    """Counts images that are embedded; other processes are taken to be as far as this one."""

    def __init__(self, advance: Callable[[int], None], images: int) -> None:
        self.advance, self.images, self.done = advance, images, 0

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Moves the bar."""
        self.done = min(self.images, self.done + len(batch.indices) * trainer.world_size)
        self.advance(self.done)


def callbacks_of(trainer: lightning.Trainer) -> list[Callback]:
    """A trainer's callbacks, in the order of their turns; changing the list changes the trainer."""
    assembled: Any = trainer  # what its parts set on it is not declared
    callbacks: list[Callback] = assembled.callbacks
    return callbacks


def total_steps(trainer: lightning.Trainer) -> int:
    """Steps of the whole run: epochs of equal length, cut by ``max_steps``."""
    steps = int(trainer.num_training_batches) * int(trainer.max_epochs or 0)
    return min(steps, trainer.max_steps) if trainer.max_steps >= 0 else steps


def peak_memory_bytes() -> dict[str, int]:
    """Highest resident memory of this process, and the highest allocated on the GPU if there is one."""
    peaks = {}
    if sys.platform != "win32":
        import resource  # not there on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        peaks["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if torch.cuda.is_available():
        peaks["gpu"] = torch.cuda.max_memory_allocated()
    return peaks
