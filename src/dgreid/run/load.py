"""A trained run, back in memory, without any source data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig
from torch import nn

from dgreid.errors import InputError
from dgreid.module import ReIDModule
from dgreid.run.build import build_module, build_net
from dgreid.run.checkpoints import CHECKPOINTS, read_checkpoint
from dgreid.run.compose import readable
from dgreid.run.folder import CONFIG, RECORD
from dgreid.run.guards import RULES, names
from dgreid.run.stored import known_domains, stored_config, stored_record
from dgreid.types import DomainInfo

NAMED_CHECKPOINTS = ("selected", *RULES, "initial")


@dataclass(frozen=True)
class LoadedRun:
    """A run with the weights of one of its checkpoints.

    Attributes:
        folder: the run's folder.
        config: its resolved configuration.
        record: what ``run.json`` says: sources, weights, environment.
        module: net and strategy, in evaluation mode.
        step: optimizer steps the weights took; 0 before training.
    """

    folder: Path
    config: DictConfig
    record: dict[str, Any]
    module: ReIDModule
    step: int

    @property
    def inference_net(self) -> nn.Module:
        """A module from normalised images to unit embeddings."""
        return self.module.strategy.inference_net(self.module.net).eval()


def load_run(
    folder: str | Path, checkpoint: str = "selected", target: str | None = None, trust: Sequence[str] = ()
) -> LoadedRun:
    """Rebuilds net and strategy of a run and loads one checkpoint; no other code is run because a file names it.

    Args:
        folder: a run's folder.
        checkpoint: ``selected``, ``last``, ``source``, ``oracle``, ``initial`` (the weights training started from), or
            a file.
        target: whose oracle; needed if the run had several targets.
        trust: modules with nets and strategies of your own that the run may name.

    Raises:
        InputError: no run there, one that names other code, no such checkpoint, or one that does not fit the run.
    """
    folder = Path(folder)
    config, record = read_run(folder, trust)
    domains = known_domains(folder / RECORD, record["sources"])
    targets = names(config.target, "target")
    if target is None and len(targets) == 1:
        target = targets[0]
    path = None if checkpoint == "initial" else find_checkpoint(folder, checkpoint, target)
    if path is not None and "weights" in config.net:
        # All weights come from the checkpoint: the file of first weights need not be on this machine.
        config.net.weights, config.init = "random", None
    module = _build(folder, config, domains)
    step = 0 if path is None else _load_state(module, path)
    return LoadedRun(folder, config, record, module.eval(), step)


def read_run(folder: Path, trust: Sequence[str] = ()) -> tuple[DictConfig, dict[str, Any]]:
    """A run's resolved configuration and its record, without any weights.

    Args:
        folder: a run's folder.
        trust: as for :func:`load_run`.

    Raises:
        InputError: no run there, a damaged one, or one that names code that is neither known nor trusted.
    """
    if not (folder / CONFIG).is_file() or not (folder / RECORD).is_file():
        raise InputError(
            f"{folder} holds no run: {CONFIG} and {RECORD} are missing; give the folder that train.py named"
        )
    return stored_config(folder / CONFIG, trust), stored_record(folder / RECORD)


def find_checkpoint(folder: Path, checkpoint: str, target: str | None = None) -> Path:
    """The file of a checkpoint rule in a run's folder, or the file given.

    Raises:
        InputError: there is none; the message lists those that exist.
    """
    name = f"oracle_{target}" if checkpoint == "oracle" and target else checkpoint
    path = folder / CHECKPOINTS / f"{name}.ckpt" if checkpoint in NAMED_CHECKPOINTS else Path(checkpoint)
    if not path.is_file():
        existing = sorted(p.stem for p in (folder / CHECKPOINTS).glob("*.ckpt"))
        raise InputError(
            f"checkpoint={checkpoint}: {path} does not exist; this run has: {', '.join(existing) or 'none'}"
        )
    return path


def _build(folder: Path, config: DictConfig, domains: Sequence[DomainInfo]) -> ReIDModule:
    try:
        return build_module(config, build_net(config), domains)
    except Exception as error:  # what is built raises whatever the values suggest
        if (refusal := _refusal_in(error)) is not None:
            raise refusal from error
        reason = readable(error) or f"{type(error).__name__}: {error}"
        raise InputError(
            f"{folder}: what its {CONFIG} says cannot be built ({reason}); it is damaged, or of another version"
        ) from error


def _refusal_in(error: BaseException | None) -> InputError | None:
    """The user's error behind one of Hydra's, which wraps what a constructor raises."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def _load_state(module: ReIDModule, path: Path) -> int:
    content = read_checkpoint(path)
    try:
        module.load_state_dict(cast(dict[str, Any], content.get("state_dict", {})))
        return int(cast(int, content.get("global_step", 0)))
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} does not fit this run's net and strategy: {error}") from error
