"""A trained run, back in memory, without any source data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from torch import nn
from yaml import YAMLError

from dgreid.errors import InputError
from dgreid.module import ReIDModule
from dgreid.run.build import build_module, build_net
from dgreid.run.folder import CHECKPOINTS, CONFIG, RECORD
from dgreid.run.guards import RULES, names
from dgreid.run.warm_start import read_checkpoint
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


def load_run(folder: str | Path, checkpoint: str = "selected", target: str | None = None) -> LoadedRun:
    """Rebuilds net and strategy of a run and loads one checkpoint.

    Args:
        folder: a run's folder.
        checkpoint: ``selected``, ``last``, ``source``, ``oracle``, ``initial`` (the weights training started from), or
            a file.
        target: whose oracle; needed if the run had several targets.

    Raises:
        InputError: no run there, no such checkpoint, or one that does not fit the run.
    """
    folder = Path(folder)
    config, record = read_run(folder)
    domains = [DomainInfo(**info) for info in record["sources"]]
    targets = names(config.target, "target")
    if target is None and len(targets) == 1:
        target = targets[0]
    path = None if checkpoint == "initial" else find_checkpoint(folder, checkpoint, target)
    if path is not None and "weights" in config.net:
        # All weights come from the checkpoint: the file of first weights need not be on this machine.
        config.net.weights, config.init = "random", None
    module = build_module(config, build_net(config), domains)
    step = 0 if path is None else _load_state(module, path)
    return LoadedRun(folder, config, record, module.eval(), step)


def read_run(folder: Path) -> tuple[DictConfig, dict[str, Any]]:
    """A run's resolved configuration and its record, without any weights.

    Raises:
        InputError: no run there, or a damaged one.
    """
    if not (folder / CONFIG).is_file() or not (folder / RECORD).is_file():
        raise InputError(
            f"{folder} holds no run: {CONFIG} and {RECORD} are missing; give the folder that train.py named"
        )
    try:
        config = cast(DictConfig, OmegaConf.load(folder / CONFIG))
        return config, json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (ValueError, YAMLError) as error:
        raise InputError(f"{folder}: {CONFIG} or {RECORD} is damaged ({error}); restore it from a backup") from error


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


def _load_state(module: ReIDModule, path: Path) -> int:
    content = read_checkpoint(path)
    state = cast(dict[str, Any], content.get("state_dict", {}))
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit this run's net and strategy: {error}") from error
    return int(cast(int, content.get("global_step", 0)))
