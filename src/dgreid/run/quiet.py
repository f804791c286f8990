"""Keeps a run's terminal to what its user can act on."""

from __future__ import annotations

import logging
import os
import warnings

# Torch reads it when it is imported. DDP's core warns, of every run, that no parameter was without gradient.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

# Each is true of every run and asks for nothing: data modules leave normalisation to the module on purpose, loaders
# with 0 workers are as fast for small images, loaders start at the checkpoint's step without any state of their own,
# and the trainer's own bar and sampler are replaced. Weights of 1 x 1 convolutions lie in memory alike in both of the
# layouts that DDP tells apart. Scores are equal on all processes, as the first computes them for all.
HARMLESS = (
    ".*overridden `on_after_batch_transfer`.*",
    ".*does not have many workers.*",
    ".*smaller than the logging interval.*",
    ".*`isinstance.treespec, LeafSpec.`.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*`training_step` returned `None`.*",
    ".*Trying to infer the `batch_size`.*",
    ".*dataloader .*is not resumable.*",
    "(?s).*Grad strides do not match bucket view strides.*",
    ".*recommended to use `self.log.*sync_dist=True.*",
)
CHATTER = ("GPU available", "TPU available", "HPU available", "\N{ELECTRIC LIGHT BULB}", "`Trainer.fit` stopped")


class _WithoutChatter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(CHATTER)


def keep_terminal_readable() -> None:
    """Drops messages that hold for every run, and prints warnings as one line without a place in the code."""
    for pattern in HARMLESS:
        warnings.filterwarnings("ignore", message=pattern)
    warnings.formatwarning = _one_line
    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    if not any(isinstance(existing, _WithoutChatter) for existing in logger.filters):
        logger.addFilter(_WithoutChatter())


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return f"warning: {message}\n"
