"""When a run saves: at the end of epochs, every so many steps or minutes, and before it stops."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only

from dgreid.callbacks import total_steps
from dgreid.errors import InputError
from dgreid.files import remove_temporary
from dgreid.loggers import MetricsTable
from dgreid.run.checkpoints import CHECKPOINTS, LAST, WholeCheckpoints
from dgreid.run.interruption import Interrupted, StopRequests

WRITTEN = (".", CHECKPOINTS, "pictures")  # folders that nobody writes to but the run


class Interval(NamedTuple):
    """How much training an interruption may cost at most; without either, an epoch.

    Attributes:
        steps: optimizer steps.
        minutes: of wall-clock time.
    """

    steps: int | None = None
    minutes: float | None = None


def checkpoint_interval(value: object) -> Interval:
    """What ``checkpoint_every`` says: ``200 steps``, ``10 minutes``, or None for each epoch.

    Raises:
        InputError: it says something else.
    """
    if value is None:
        return Interval()
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(steps?|minutes?)", str(value).strip())
    number = float(found[1]) if found else 0.0
    if found and number > 0 and found[2].startswith("minute"):
        return Interval(minutes=number)
    if found and number > 0 and number.is_integer():
        return Interval(steps=int(number))
    raise InputError(
        f"checkpoint_every={value}: a number above 0 with its unit, as in 'checkpoint_every=200 steps' or "
        "'checkpoint_every=10 minutes', or null for each epoch"
    )


class KeepLast(Checkpoint):
    """Keeps ``last.ckpt`` such that the continued run cannot be told from an uninterrupted one.

    It is written between two steps, after the curves up to it: before the second and later steps of an epoch, and at an
    epoch's end, after its evaluation. Before a step that an evaluation follows it is always written, so that a signal
    need not wait for the evaluation's end.

    Args:
        folder: the run's.
        interval: how often.

    Attributes:
        best_model_path: the checkpoint that an error names as the last before it; Lightning's name for it.
    """

    def __init__(self, folder: Path, interval: Interval) -> None:
        super().__init__()
        self.folder = folder
        self.interval = interval
        self._requests = StopRequests()
        self._saved_step = 0
        self._saved_at = 0.0
        self.best_model_path = ""

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """From now on checkpoints are written whole or not at all; what a killed process was writing is removed."""
        trainer.strategy.checkpoint_io = WholeCheckpoints()
        if stage == "fit" and trainer.is_global_zero:
            for place in WRITTEN:
                remove_temporary(self.folder / place)

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Tells the selection rules where their files are now: in a moved folder they would forget the best."""
        place = (self.folder / CHECKPOINTS).resolve()
        for state in checkpoint["callbacks"].values():
            if "best_k_models" in state:
                state["dirpath"] = str(place)
                state["best_k_models"] = {_moved(path, place): score for path, score in state["best_k_models"].items()}
                for key in ("best_model_path", "kth_best_model_path"):
                    state[key] = _moved(state[key], place)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Listens to signals."""
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        self.best_model_path = str(trainer.ckpt_path or "")
        self._requests.listen()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Between two steps of an epoch: saves or stops if it is time to."""
        self._requests.at_once = False
        if batch_idx > 0:  # what is before an epoch's first step is another epoch's end
            self._pause(trainer, self._is_due(trainer) or _evaluates_after(trainer, batch_idx))

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """An evaluation begins, which changes nothing: a signal ends it, and the checkpoint before it is there."""
        if trainer.state.fn == "fit":
            self._requests.at_once = True
            self._stop_if_asked(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The epoch's checkpoint has to be written before a signal may end the run."""
        self._requests.at_once = False

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Saves the end of an epoch, if it is time to, and that of training."""
        each_epoch = self.interval == Interval()
        self._pause(trainer, each_epoch or self._is_due(trainer) or trainer.global_step >= total_steps(trainer))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """What follows can be done again from the last checkpoint."""
        self._requests.leave()

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Says how the run goes on where a signal ended it."""
        self._requests.leave()
        if isinstance(exception, Interrupted):
            saved = f"saved at step {self._saved_step}" if self._saved_step else "with nothing to save yet"
            rank_zero_info(
                f"stopped by {exception.name} at step {trainer.global_step}, {saved}; "
                "the same command with resume=auto goes on"
            )

    def _is_due(self, trainer: lightning.Trainer) -> bool:
        """By steps; all processes know."""
        return self.interval.steps is not None and trainer.global_step - self._saved_step >= self.interval.steps

    def _is_time(self, trainer: lightning.Trainer) -> bool:
        """By the first process's clock."""
        minutes = self.interval.minutes
        return minutes is not None and trainer.is_global_zero and time.monotonic() - self._saved_at >= 60 * minutes

    def _pause(self, trainer: lightning.Trainer, due: bool) -> None:
        asked = _any(trainer, self._requests.received is not None or self._is_time(trainer))
        if (due or asked) and trainer.global_step > self._saved_step:
            self._save(trainer)
        if asked:
            self._stop_if_asked(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        _keep_curves(trainer)
        path = self.folder / CHECKPOINTS / LAST
        trainer.save_checkpoint(path, weights_only=False)
        self.best_model_path = str(path)
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()

    def _stop_if_asked(self, trainer: lightning.Trainer) -> None:
        received = self._requests.received
        if _any(trainer, received is not None):
            raise Interrupted(received or signal.SIGTERM)


def _any(trainer: lightning.Trainer, here: bool) -> bool:
    """Whether it is so on any process."""
    return bool(trainer.strategy.reduce_boolean_decision(here, all=False)) if trainer.world_size > 1 else here


def _evaluates_after(trainer: lightning.Trainer, batch_idx: int) -> bool:
    """Whether an evaluation follows the step that is about to begin."""
    every = trainer.check_val_every_n_epoch or 1
    return batch_idx + 1 == int(trainer.num_training_batches) and (trainer.current_epoch + 1) % every == 0


@rank_zero_only
def _keep_curves(trainer: lightning.Trainer) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, MetricsTable):
            logger.keep()


def _moved(path: str, place: Path) -> str:
    return str(place / Path(path).name) if path else path
