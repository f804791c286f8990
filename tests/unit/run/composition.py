"""Configurations of ``train.py``, composed as the command composes them."""

from functools import cache

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from dgreid.run.compose import conf_folder, register_catalogue
from dgreid.run.folder import flatten

CONF = conf_folder()


@cache
def composed(*overrides: str) -> DictConfig:
    register_catalogue()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=list(overrides))


def values(*overrides: str) -> dict[str, object]:
    return flatten(OmegaConf.to_container(composed(*overrides), resolve=True))


def comment_of(protocol: str) -> str:
    """The lines before a protocol's values, as one line."""
    lines = (CONF / "protocol" / f"{protocol}.yaml").read_text(encoding="utf-8").splitlines()
    return " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
