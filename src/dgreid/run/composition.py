"""A configuration as a command composes it, for programs that are no Hydra command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from dgreid.run.compose import conf_folder, register_catalogue


def composed(overrides: Sequence[str] = (), config: str = "train", folders: Sequence[Path] = ()) -> DictConfig:
    """The configuration of one run.

    Args:
        overrides: as typed after a command, ``key=value`` each.
        config: file in the Hydra tree, without suffix.
        folders: with groups of one's own, as ``--config-dir`` takes one.

    Raises:
        HydraException: something does not compose; :func:`dgreid.run.compose.readable` has words for it.
    """
    register_catalogue()
    places = ",".join(f"'file://{folder.absolute()}'" for folder in folders)
    search = [f"hydra.searchpath=[{places}]"] if folders else []
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose(config, overrides=[*search, *overrides])
