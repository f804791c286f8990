"""Which code a configuration that comes with a run may name: what the project's groups name, and what the user trusts.

Such a file may be anybody's, and Hydra calls whatever ``_target_`` names. So the names are looked up among those of the
user's own groups, and only what is trusted by name is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object
from omegaconf import ListConfig

from dgreid.errors import InputError
from dgreid.run.compose import conf_folder

TARGET = "_target_"
# A stored configuration's trainer and loggers are never built, so what they name is never called.
NOT_BUILT_AGAIN = ("trainer", "logger")
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def trusted_modules(value: object) -> tuple[str, ...]:
    """The modules that ``trust=`` names.

    Raises:
        InputError: something in it is no name of a module.
    """
    listed = list(value) if isinstance(value, list | tuple | ListConfig) else [] if value is None else [value]
    wrong = [name for name in listed if not isinstance(name, str) or not MODULE.fullmatch(name)]
    if wrong:
        raise InputError(f"trust={wrong[0]}: name modules, as Python imports them, e.g. trust=[my_package]")
    return tuple(map(str, listed))


def check_targets(config: Mapping[Any, Any], trust: Sequence[str], file: Path) -> None:
    """Nothing may be built but what is known here, or trusted by the user.

    Args:
        config: plain values of a stored configuration, interpolations unresolved.
        trust: modules that the user vouches for, with all below them.
        file: it stands in.

    Raises:
        InputError: naming the first key that names other code.
    """
    for key, value in entries({name: node for name, node in config.items() if name not in NOT_BUILT_AGAIN}):
        if not _is_target(key) or _is_known(value):
            continue
        module = next((name for name in trust if str(value).startswith(f"{name}.")), None)
        if module is None or not _is_of(str(value), module):
            raise InputError(
                f"{file}: {key}={value} names code that is not dgreid's, and code is not run because a file names it. "
                "If it is yours, say so: give the folder of its groups by 'hydra.searchpath=[<folder>]' or "
                "--config-dir, or vouch for its module by trust=[my_package]"
            )


def entries(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All values of nested mappings and lists with their dotted keys; what ``_target_`` names counts as a whole."""
    items: Iterable[tuple[Any, Any]]
    if isinstance(node, Mapping) and node:
        items = node.items()
    elif isinstance(node, list | tuple) and node:
        items = enumerate(node)
    else:
        yield prefix.removesuffix("."), node
        return
    for key, value in items:
        if key == TARGET:
            yield f"{prefix}{key}", value
        else:
            yield from entries(value, f"{prefix}{key}.")


def _is_target(key: str) -> bool:
    return key.rpartition(".")[2] == TARGET


def _is_known(value: object) -> bool:
    return isinstance(value, str) and (value in _project_targets() or value in _targets_in(_search_path()))


def _is_of(target: str, module: str) -> bool:
    """Whether a target is a class or function that a trusted module itself defines, not something it imports."""
    try:
        defined_in = getattr(get_object(target), "__module__", None)
    except Exception as error:  # importing the module runs it, which may end in any way
        raise InputError(f"trust={module}: {target} cannot be imported: {error}") from error
    return isinstance(defined_in, str) and (defined_in == module or defined_in.startswith(f"{module}."))


@cache
def _project_targets() -> frozenset[str]:
    return _targets_in([conf_folder()])


def _search_path() -> list[Traversable]:
    """The folders of groups that the user gave to this call; the project's own is among them."""
    if not HydraConfig.initialized():
        return []
    folders: list[Traversable] = []
    for source in HydraConfig.get().runtime.config_sources:
        if source.provider == "hydra" or source.schema not in ("file", "pkg"):
            continue
        folders.append(Path(source.path) if source.schema == "file" else resources.files(source.path))
    return folders


def _targets_in(folders: Iterable[Traversable]) -> frozenset[str]:
    """What the files of all groups name, but those of groups that are not built again."""
    groups = (group for folder in folders if folder.is_dir() for group in folder.iterdir() if group.is_dir())
    files = (file for group in groups if group.name not in NOT_BUILT_AGAIN for file in _yaml_files(group))
    found = (entry for file in files for entry in entries(_content(file)))
    return frozenset(value for key, value in found if _is_target(key) and isinstance(value, str))


def _content(file: Traversable) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError):  # one that Hydra was not asked to read
        return None


def _yaml_files(folder: Traversable) -> Iterator[Traversable]:
    for place in folder.iterdir():
        if place.is_dir():
            yield from _yaml_files(place)
        elif place.name.endswith(".yaml"):
            yield place
