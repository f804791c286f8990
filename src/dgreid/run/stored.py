"""What a run's folder says of the run: read as text from anywhere, in which nothing is looked up, built or run."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dgreid.data.modules import DomainDataModule
from dgreid.data.transforms import TrainTransform
from dgreid.errors import InputError
from dgreid.run.folder import FORMAT
from dgreid.run.trust import check_targets, entries
from dgreid.types import DomainInfo

LARGEST = 16 * 2**20  # bytes; real ones have some thousand
LARGEST_SIDE = 4096  # pixels of an image
GROUPS = ("net", "strategy", "optim", "schedule", "data", "domain")
VALUES = ("sources", "target", "use", "seed")
RECORDED: Mapping[str, type | tuple[type, ...]] = {
    "sources": list, "weights": dict, "preprocessing": dict, "precision": dict, "environment": dict, "fingerprint": str,
    "strategy": (str, type(None)), "protocol": (str, type(None)), "use": str, "seed": int,
}  # fmt: skip
RECORDED_LATER: Mapping[str, type | tuple[type, ...]] = {"variant": (list, type(None)), "versions": dict}
WAY_OUT = "restore it from a backup, or copy the run again"


def stored_config(file: Path, trust: Sequence[str] = ()) -> DictConfig:
    """A run's configuration.

    Args:
        file: the run's ``config.yaml``.
        trust: modules beside the project's groups and the user's own that it may name.

    Raises:
        InputError: it is damaged, is no run's, asks for values of this machine, or names other code.
    """
    config = plain_config(file)
    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    for key, value in entries(content):
        # Runs are stored resolved: what is left to be looked up would be somebody else's question to this machine.
        if isinstance(value, str) and "${" in value:
            raise InputError(
                f"{file}: {key}={value} asks for a value from outside the file, which is not looked up; write the value"
            )
    check_targets(content, trust, file)
    missing = [key for key in VALUES if key not in content]
    missing += [key for key in GROUPS if not isinstance(content.get(key), dict)]
    if missing:
        raise InputError(f"{file} is no run's configuration: {', '.join(missing)} missing; {WAY_OUT}")
    _check_data(file, content["data"])
    return config


def _check_data(file: Path, data: Mapping[str, Any]) -> None:
    """Refuses images of no size, and options of the data that this version does not have."""
    size = {key: data.get(key) for key in ("height", "width")}
    if any(type(value) is not int or not 0 < value <= LARGEST_SIDE for value in size.values()):
        raise InputError(f"{file}: data has {size}, which is no size of images; {WAY_OUT}")
    takers = {"data": (data, DomainDataModule), "data.transform": (data.get("transform"), TrainTransform)}
    for key, (given, taker) in takers.items():
        if not isinstance(given, Mapping):
            raise InputError(f"{file}: {key} has no values by name; {WAY_OUT}")
        if unknown := [str(name) for name in given if name not in inspect.signature(taker).parameters]:
            raise InputError(f"{file}: {key} has {', '.join(unknown)}, which this version does not know; {WAY_OUT}")


def plain_config(file: Path) -> DictConfig:
    """A file of configuration as it is written, without any promise of what it holds.

    Raises:
        InputError: it cannot be read.
    """
    text = _text(file)
    try:
        # A few lines can repeat each other into more values than fit into memory; runs repeat nothing.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InputError(f"{file} is no run's configuration: it repeats parts of itself (&, *); {WAY_OUT}")
        config = OmegaConf.load(io.StringIO(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, OSError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is damaged ({_reason(error)}); {WAY_OUT}") from error
    if not isinstance(config, DictConfig):
        raise InputError(f"{file} is damaged (no keys and values); {WAY_OUT}")
    return config


def stored_record(file: Path) -> dict[str, Any]:
    """What a run's ``run.json`` says, with the domains it was trained on.

    Raises:
        InputError: it is damaged, or no run's.
    """
    content = stored_json(file)
    newer = {key: kind for key, kind in RECORDED_LATER.items() if key in content}
    for key, kind in {**RECORDED, **newer}.items():
        if key not in content or not isinstance(content[key], kind):
            raise InputError(f"{file} is damaged (no {key}, or another kind of value); {WAY_OUT}")
    known_domains(file, content["sources"])
    return content


def known_domains(file: Path, sources: Sequence[Any]) -> list[DomainInfo]:
    """The domains that a record names.

    Raises:
        InputError: something else stands there.
    """
    try:
        domains = [DomainInfo(**info) for info in sources]
    except TypeError as error:
        raise InputError(f"{file} is damaged (sources: {error}); {WAY_OUT}") from error
    for info in domains:
        counts = (info.identities, info.images, info.cameras)
        if not isinstance(info.name, str) or not all(isinstance(count, int) and count >= 0 for count in counts):
            raise InputError(f"{file} is damaged (sources: {info}); {WAY_OUT}")
    return domains


def stored_json(file: Path) -> dict[str, Any]:
    """The values of a JSON file by name.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is damaged ({_reason(error)}); {WAY_OUT}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} is damaged (no values by name); {WAY_OUT}")
    form = content.get("format", FORMAT)
    if form != FORMAT:
        raise InputError(f"{file} has format {form}, this version of dgreid reads {FORMAT}: use a newer one")
    return content


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise InputError(f"{file} has more than {LARGEST // 2**20} MB, which no run writes; {WAY_OUT}")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is damaged (no UTF-8 text); {WAY_OUT}") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}; {WAY_OUT}") from error


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:2]) or type(error).__name__
