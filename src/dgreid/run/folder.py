"""A run's folder: its name is what the run is, and what it holds is never overwritten."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from dgreid.errors import InputError
from dgreid.files import write_text
from dgreid.run.checkpoints import CHECKPOINTS
from dgreid.run.guards import names

CONFIG = "config.yaml"
RECORD = "run.json"
RESULT = "result.json"

IN_THE_PATH = ("sources", "target", "use", "strategy", "seed", "name", "experiment", "protocol")
# Where a run is computed and shown does not change what it is.
OF_THE_MACHINE = (
    "data_root", "runs", "folder", "trust", "resume", "checkpoint_every", "plan", "logger", "hydra", "data.workers",
    "data.cache", "data.cache_folder", "data.test_batch_size", "synthetic.folder", "trainer.devices",
    "trainer.accelerator", "trainer.num_nodes", "trainer.strategy", "trainer.log_every_n_steps", "metric.memory_limit",
)  # fmt: skip
LENGTH = ("epochs", "trainer.max_steps")  # a run may be made longer when it is resumed
SPACE_NEEDED = 200 * 2**20


def run_folder(config: DictConfig, overrides: Sequence[str], strategy: str) -> Path:
    """``runs/<name>/<sources>_to_<target>/<strategy>/seed<k>``, with a suffix where other values were overridden.

    Protocols may differ in ``use`` alone, so ``_train+test`` follows the target's name where that is trained on.

    Args:
        config: the composed configuration.
        overrides: what was typed, ``key=value`` each.
        strategy: name of the strategy's file in ``conf/strategy``.
    """
    if config.folder is not None:
        return Path(config.folder)
    sources, targets = names(config.sources, "sources"), names(config.target, "target")
    use = "" if config.use == "train" else f"_{config.use}"
    cell = _short(f"{'+'.join(sources)}_to_{'+'.join(targets)}{use}", 150)
    leaf = f"seed{config.seed}{folder_suffix(overrides)}"
    return Path(config.runs) / str(config.name) / cell / strategy / leaf


def folder_suffix(overrides: Sequence[str]) -> str:
    """What was typed besides the values that the path shows and those of the machine, as part of a file name."""
    typed = (override.lstrip("+~").partition("=") for override in overrides)
    kept = sorted(f"{key.partition('@')[0]}-{value}" for key, _, value in typed if not _named_elsewhere(key))
    text = "_".join(re.sub(r"[^\w.+-]+", ".", item).strip(".") for item in kept)
    return f"_{_short(text, 60)}" if text else ""


def _named_elsewhere(key: str) -> bool:
    key = key.partition("@")[0].replace("/", ".")
    return key in IN_THE_PATH or any(key == other or key.startswith(f"{other}.") for other in OF_THE_MACHINE)


def _short(text: str, length: int) -> str:
    """The text, or its beginning and a hash of all of it if it is too long for a folder's name."""
    return text if len(text) <= length else f"{text[: length - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def fingerprint(config: Mapping[str, Any]) -> str:
    """Sha256 (hex) of all values that can change a result; equal for equal runs on any machine."""
    flat = {key: value for key, value in flatten(config).items() if not of_the_machine(key)}
    return hashlib.sha256(json.dumps(flat, sort_keys=True, default=str).encode()).hexdigest()


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


def check_free(folder: Path, config: Mapping[str, Any], resume: bool) -> Path | None:
    """Decides whether a run may use its folder.

    Args:
        folder: where the run is to live.
        config: its resolved configuration.
        resume: whether the user asked to continue.

    Returns:
        The checkpoint to continue from; None for a new run, or one that broke off before its first checkpoint.

    Raises:
        InputError: the folder holds a run (or anything else) that would be overwritten, holds nothing to resume, a
            finished run, or one of another configuration.
    """
    last = folder / CHECKPOINTS / "last.ckpt"
    # The process that launched the further ranks has asked, and claimed the folder.
    if rank_zero_only.rank:  # type: ignore[attr-defined] # set by Lightning
        return last if resume and last.is_file() else None
    if resume:
        return _resumable(folder, last, config)
    if (folder / CONFIG).exists():
        raise InputError(f"{folder} already holds a run, which is never overwritten: {_what_to_do(folder)}")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty and holds no run; choose another with folder=... or name=...")
    _check_space(folder)
    return None


def _what_to_do(folder: Path) -> str:
    if (folder / RESULT).exists():
        ways = "it is finished; see it with `python evaluate.py run={quoted}`, repeat it under name=<another name>"
    elif (folder / CHECKPOINTS / "last.ckpt").exists():
        ways = "it was interrupted; continue it with resume=true, repeat it under name=<another name>"
    else:
        ways = (
            "it is running, or ended before its first checkpoint; wait for it, start it over with resume=true, "
            "repeat it under name=<another name>"
        )
    return ways.format(quoted=quoted(folder)) + ", or delete the folder yourself"


def quoted(path: Path) -> str:
    """A path as a value that can be pasted into a shell and that Hydra understands."""
    return f"'{path}'" if re.fullmatch(r"[A-Za-z0-9_./+-]+", str(path)) else f"""'"{path}"'"""


def _resumable(folder: Path, last: Path, config: Mapping[str, Any]) -> Path | None:
    if not (folder / CONFIG).is_file():
        raise InputError(f"resume=true: {folder} holds no run; start it without resume=true")
    stored = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(folder / CONFIG)) or {})
    before, now = flatten(stored), flatten(config)
    changed = [
        f"{key} was {before.get(key)} and is {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and not of_the_machine(key) and key not in LENGTH
    ]
    if changed:
        raise InputError(
            f"resume=true: {folder} was made by another configuration ({'; '.join(changed[:5])}). "
            "Resume with the same values, or start a new run with init=<this folder>"
        )
    if _finished(folder, fingerprint(config)):
        raise InputError(
            f"resume=true: {folder} holds a finished run; see it with `python evaluate.py run={quoted(folder)}`, "
            f"or train longer with folder={quoted(folder)} and more epochs"
        )
    return last if last.is_file() else None


def _finished(folder: Path, print_of_run: str) -> bool:
    """Whether a result is there that this very configuration led to, not a shorter one."""
    result = folder / RESULT
    return result.is_file() and json.loads(result.read_text(encoding="utf-8")).get("fingerprint") == print_of_run


def _check_space(folder: Path) -> None:
    parent = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if free < SPACE_NEEDED:
        raise InputError(
            f"{parent} has {free // 2**20} MB left, a run needs at least {SPACE_NEEDED // 2**20}: "
            "free some, or choose another disk with runs=<folder>"
        )


@rank_zero_only
def claim(folder: Path, config: Mapping[str, Any]) -> None:
    """Makes the folder this run's own by writing its configuration; the first of two processes wins.

    Raises:
        InputError: another process was faster, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).open("x").close()
    except FileExistsError as error:
        raise InputError(f"{folder} was taken by another process a moment ago; choose another name=...") from error
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}); choose another place with runs=..."
        ) from error
    write_config(folder, config)


@rank_zero_only
def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Writes the configuration; a resumed run's differs in its length and in places of the machine at most."""
    write_text(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dict(config))))
