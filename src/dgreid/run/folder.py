"""A run's folder: its name is what the run is, and what it holds is never overwritten."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from dgreid.errors import InputError
from dgreid.files import write_text
from dgreid.run.guards import names
from dgreid.run.processes import process_count

CONFIG = "config.yaml"
RECORD = "run.json"
RESULT = "result.json"
FORMAT = 1  # of both

IN_THE_PATH = ("sources", "target", "use", "split_by", "strategy", "seed", "name", "experiment", "protocol")
# Where a run is computed and shown does not change what it is.
OF_THE_MACHINE = (
    "data_root", "runs", "folder", "trust", "resume", "checkpoint_every", "plan", "logger", "hydra", "data.workers",
    "data.cache", "data.cache_folder", "data.test_batch_size", "synthetic.folder", "trainer.devices",
    "trainer.accelerator", "trainer.num_nodes", "trainer.strategy", "trainer.log_every_n_steps", "metric.memory_limit",
)  # fmt: skip
OPTIONS_OF_THE_MACHINE = ("trainer=default", "trainer=ddp")  # they differ in values of the machine alone
LENGTH = ("epochs", "trainer.max_steps")  # a run may be made longer when it is resumed


def run_folder(config: DictConfig, overrides: Sequence[str], strategy: str) -> Path:
    """``runs/<name>/<sources>_to_<target>/<strategy>/seed<k>``, with a suffix where other values were overridden.

    Protocols may differ in ``use`` alone, so ``_train+test`` follows the target's name where that is trained on; and
    ``_by_camera`` the sources' where they are split so.

    Args:
        config: the composed configuration.
        overrides: what was typed, ``key=value`` each.
        strategy: name of the strategy's file in ``conf/strategy``.
    """
    if config.folder is not None:
        return Path(config.folder)
    sources, targets = names(config.sources, "sources"), names(config.target, "target")
    use = "" if config.use == "train" else f"_{config.use}"
    split = "" if config.get("split_by") is None else f"_by_{config.split_by}"
    cell = _short(f"{'+'.join(sources)}{split}_to_{'+'.join(targets)}{use}", 150)
    leaf = f"seed{config.seed}{folder_suffix(overrides)}"
    return Path(config.runs) / str(config.name) / cell / strategy / leaf


def folder_suffix(overrides: Sequence[str]) -> str:
    """What was typed besides the values that the path shows and those of the machine, as part of a file name."""
    typed = (override.lstrip("+~").partition("=") for override in overrides)
    kept = sorted(f"{key.partition('@')[0]}-{value}" for key, _, value in typed if not _named_elsewhere(key, value))
    text = "_".join(re.sub(r"[^\w.+-]+", ".", item).strip(".") for item in kept)
    return f"_{_short(text, 60)}" if text else ""


def _named_elsewhere(key: str, value: str) -> bool:
    key = key.partition("@")[0].replace("/", ".")
    if key in IN_THE_PATH or f"{key}={value}" in OPTIONS_OF_THE_MACHINE:
        return True
    return any(key == other or key.startswith(f"{other}.") for other in OF_THE_MACHINE)


def _short(text: str, length: int) -> str:
    """The text, or its beginning and a hash of all of it if it is too long for a folder's name."""
    return text if len(text) <= length else f"{text[: length - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def fingerprint(config: Mapping[str, Any]) -> str:
    """Sha256 (hex) of all values that can change a result; equal for equal runs on any machine."""
    return hashlib.sha256(json.dumps(what_it_is(config), sort_keys=True, default=str).encode()).hexdigest()


def what_it_is(config: Mapping[str, Any]) -> dict[str, Any]:
    """All values that can change a result, by dotted key.

    Where batch statistics are of each process by itself, the number of processes is one of them.
    """
    flat = {key: value for key, value in flatten(config).items() if not of_the_machine(key)}
    if config.get("batch_statistics") == "local":
        flat["processes"] = process_count(OmegaConf.create(dict(config)))
    return flat


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What makes a configuration another run's than one before: each key with both values; a longer run is the same."""
    old, new = what_it_is(before), what_it_is(now)
    longer = _steps(before) <= _steps(now)
    return [
        f"{key} was {old.get(key)} and is {new.get(key)}"
        for key in sorted(old.keys() | new.keys(), key=lambda key: (key.count("."), key))  # sources before their values
        if old.get(key) != new.get(key) and not (key in LENGTH and longer)
    ]


def _steps(config: Mapping[str, Any]) -> int:
    steps = int(config["epochs"]) * int(config.get("steps_per_epoch", 1))
    most = int(config["trainer"].get("max_steps", -1))
    return steps if most < 0 else min(steps, most)


def of_the_machine(key: str) -> bool:
    """Whether a dotted key says where or how a run is computed, not what it is."""
    group, _, name = key.partition(".")
    # Of the synthetic domains `folder` is a place; of one's own data it says which data they are.
    kept_in = ("data_root", "folder") if name.startswith("synthetic_") else ("data_root",)
    catalogued = group == "domain" and key.rpartition(".")[2] in kept_in
    return catalogued or any(key == other or key.startswith(f"{other}.") for other in OF_THE_MACHINE)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def quoted(path: Path) -> str:
    """A path as a value that can be pasted into a shell and that Hydra understands."""
    return f"'{path}'" if re.fullmatch(r"[A-Za-z0-9_./+-]+", str(path)) else f"""'"{path}"'"""


@rank_zero_only
def make_folder(folder: Path) -> None:
    """Makes a run's folder, which may be there already.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}); choose another place with runs=..."
        ) from error


@rank_zero_only
def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Writes the configuration; a resumed run's differs in its length and in places of the machine at most."""
    write_text(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dict(config))))
