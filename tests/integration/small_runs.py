"""Runs of the whole program that take a second: two domains, a net of four channels, a handful of steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dgreid.run.compose import conf_folder, register_catalogue
from dgreid.run.evaluating import evaluate
from dgreid.run.training import train

SMALL = (
    "synthetic=tiny", "data=small", "net=small", "schedule=demo", "data.height=64", "data.width=32",
    "data.transform.pad=2", "data.identities_per_batch=3", "data.images_per_identity=2", "net.width=4",
    "trainer.accelerator=cpu", "trainer.log_every_n_steps=1", "epochs=2", "steps_per_epoch=2",
)  # fmt: skip
CELL = ("sources=[synthetic_plaza,synthetic_campus]", "target=synthetic_night")


def strategies() -> list[str]:
    """The methods that exist: one file each in ``conf/strategy``."""
    return sorted(path.stem for path in (conf_folder() / "strategy").glob("*.yaml"))


def typed(data_root: Path, *overrides: str) -> list[str]:
    """What is typed for a small run; of two values of a key the later one is kept."""
    everything = [*SMALL, *CELL, f"data_root={data_root}", *overrides]
    return list({override.partition("=")[0]: override for override in everything}.values())


def composed(overrides: Sequence[str], config: str = "train") -> DictConfig:
    """The configuration as the command composes it; ``HydraConfig`` knows what was typed, as it does there."""
    register_catalogue()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        whole = compose(config, overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(whole)
    task = whole.copy()
    OmegaConf.set_struct(task, False)
    del task["hydra"]
    OmegaConf.set_struct(task, True)
    return task


def train_small(data_root: Path, folder: Path, *overrides: str) -> Path:
    """A small run in a folder of its own; returns the folder."""
    train(composed(typed(data_root, f"folder={folder}", *overrides)))
    return folder


def evaluate_small(data_root: Path, folder: Path, *overrides: str) -> None:
    """``evaluate.py`` on a run."""
    evaluate(composed([f"run={folder}", f"data_root={data_root}", "accelerator=cpu", *overrides], "evaluate"))
