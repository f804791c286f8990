"""``resume=<run folder>``: a stored run's configuration with what was typed beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from dgreid.errors import InputError
from dgreid.run.compose import conf_folder
from dgreid.run.continuing import resume_mode
from dgreid.run.folder import OPTIONS_OF_THE_MACHINE, flatten, of_the_machine
from dgreid.run.load import read_run
from dgreid.run.protocols import told
from dgreid.run.trust import TARGET, entries

PRESETS = ("protocol", "experiment")
REBUILT = ("trainer", "logger")
PLACES_OF_DOMAINS = ("data_root", "synthetic.folder")  # keys of the catalogue follow them
KEPT = ("strategy", "command")  # beside the protocol, of the record: what was chosen and typed when the run was begun


def continued(config: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    """The configuration to go on with, and what a run's record keeps where ``resume`` names one.

    Args:
        config: as composed from what was typed this time.
        overrides: what was typed, ``key=value`` each.

    Returns:
        The stored configuration, changed where a value was typed, whether it may be or not, and facts of the record;
        ``config`` itself and nothing where ``resume`` names no run.

    Raises:
        InputError: no run there, it names code that is not known here, or a preset was typed.
    """
    if resume_mode(config.resume) != "folder":
        return config, {}
    folder = Path(config.resume)
    stored, record = read_run(folder, config.get("trust") or ())
    _check_built(stored, folder)
    typed = dict(override.lstrip("+~").partition("=")[::2] for override in overrides)
    if preset := next((key for key in PRESETS if key in typed), None):
        raise InputError(
            f"{preset}={typed[preset]} with resume={folder}: the run's own configuration is taken; leave {preset} out"
        )
    values = flatten(cast(dict[str, Any], OmegaConf.to_container(stored)))
    machine = {key for key, value in typed.items() if f"{key}={value}" in OPTIONS_OF_THE_MACHINE}
    newer = [str(key) for key in config if key not in stored]
    for key in (*values, *newer, *(typed.keys() - machine)):
        if key in newer or _is_typed(key, typed, machine):
            OmegaConf.update(stored, key, _plain(config, key), force_add=True)
    if "logger" in typed:
        stored.logger = _plain(config, "logger")  # another kind has other values
    stored.update(folder=str(folder), resume=config.resume)
    return stored, {**{key: record[key] for key in KEPT if key in record}, **told(record)}


def _is_typed(key: str, typed: Mapping[str, str], machine: set[str]) -> bool:
    """Whether a dotted key's value was typed; options of the machine give values of the machine only."""
    if key.startswith("domain.") and of_the_machine(key) and any(place in typed for place in PLACES_OF_DOMAINS):
        return True
    above = next((word for word in typed if key == word or key.startswith(f"{word}.")), None)
    return above is not None and (above not in machine or of_the_machine(key))


def _plain(config: DictConfig, key: str) -> Any:
    value = OmegaConf.select(config, key)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _check_built(stored: DictConfig, folder: Path) -> None:
    """Trainer and loggers, which only a continued run builds again, may name what the project's own groups name.

    Raises:
        InputError: naming the first key that names other code.
    """
    files = [file for group in REBUILT for file in sorted((conf_folder() / group).glob("*.yaml"))]
    known = {cast(DictConfig, OmegaConf.load(file)).get(TARGET) for file in files}
    content = cast(dict[str, Any], OmegaConf.to_container(stored))
    for key, value in entries({group: content.get(group) for group in REBUILT}):
        if key.rpartition(".")[2] == TARGET and value not in known:
            raise InputError(
                f"{folder}: {key}={value} names code that is not dgreid's, and code is not run because a file names "
                "it. Continue the run by its own command and resume=auto"
            )
