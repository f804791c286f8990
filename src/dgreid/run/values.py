"""Typed values against the signatures that they are handed to: a wrong type is told with its key, before anything runs.

Signatures are the configuration's schema, so a net or strategy of one's own is covered by its annotations.
"""

from __future__ import annotations

import collections.abc
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeGuard, Union, get_args, get_origin, get_type_hints

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf

from dgreid.data.modules import DomainDataModule
from dgreid.data.transforms import TrainTransform
from dgreid.errors import InputError, nearest

TARGET = "_target_"
# In this order: a strategy repeats its styles, and a message should name the key that was typed.
GROUPS = ("loss_style", "memory_style", "expansion", "reranking", "metric", "net", "optim", "schedule", "strategy",
          "logger", "trainer")  # fmt: skip
SWITCHES = ("allow_seen_target", "tf32")
WORDS: dict[str, Any] = {"name": str | int | float, "data_root": str | None, "runs": str, "folder": str | None,
                         "init": str | None}  # fmt: skip
# Beyond these a number is a slip of the exponent: with it a run would end in nonsense instead of a message.
RANGES = {"optim.lr": (0, 1e3), "optim.weight_decay": (0, 1e3), "trainer.log_every_n_steps": (0, 1e9),
          "strategy.margin": (0, 1e9)}  # fmt: skip
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable)
TEXT = "text (quote what looks like a number)"
NAMES: dict[Any, str] = {
    bool: "true or false", int: "a whole number", float: "a finite number", str: TEXT, Path: TEXT, NoneType: "null",
}  # fmt: skip


def check_values(config: DictConfig) -> None:
    """Types of all values whose meaning a signature says.

    Raises:
        InputError: the first value of a wrong type, with its key.
    """
    for key in SWITCHES:
        _check(key, config.get(key, False), bool)
    for key, hint in WORDS.items():
        if key in config:
            _check(key, _plain(config[key]), hint)
    if "data" in config:
        _check_group("data", config.data, DomainDataModule)
        _check_group("data.transform", config.data.get("transform"), TrainTransform)
    for group in GROUPS:
        _check_instance(group, config.get(group))
    for key, (least, most) in RANGES.items():
        value = OmegaConf.select(config, key)
        if _is_number(value) and not least <= value <= most and not _of_somebody_else(config, key):
            raise InputError(f"{key}={value}: it must lie between {least:g} and {most:g}")


def _of_somebody_else(config: DictConfig, key: str) -> bool:
    """Whether a value goes to a strategy that is not the project's, where its name may mean anything."""
    built = OmegaConf.select(config, f"strategy.{TARGET}", default="")
    return key.startswith("strategy.") and not str(built).startswith("dgreid.")


def _check_instance(key: str, node: object) -> None:
    if not isinstance(node, DictConfig) or TARGET not in node:
        return
    try:
        built = get_object(str(node[TARGET]))
    except Exception:  # Hydra says it better where it builds
        return
    _check_group(key, node, built)


def _check_group(key: str, node: object, built: Callable[..., Any]) -> None:
    if not isinstance(node, DictConfig):
        raise InputError(f"{key}={node}: a group of values, such as {key}.<name>=<value>, not a single one")
    _check_names(key, node, built)
    hints = _hints(built)
    for name, value in ((str(name), value) for name, value in node.items()):
        if name in hints and name != "transform":
            _check(f"{key}.{name}", _plain(value), hints[name])
        _check_instance(f"{key}.{name}", value)


def _check_names(key: str, node: DictConfig, built: Callable[..., Any]) -> None:
    """Refuses values that only another choice of the group takes, as an experiment may set them."""
    try:
        parameters = inspect.signature(built).parameters
    except (TypeError, ValueError):  # some of C have none
        return
    known = [name for name, parameter in parameters.items() if parameter.kind in BY_NAME]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name, value in ((str(name), value) for name, value in node.items() if not str(name).startswith("_")):
        if name not in known:
            raise InputError(
                f"{key}.{name}={value}: {built.__name__} takes no {name}; leave it out by '~{key}.{name}' if an "
                f"experiment has set it, or take another {key}"
            )


def _plain(value: object) -> object:
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig | ListConfig) else value


def _hints(built: Callable[..., Any]) -> dict[str, Any]:
    constructor: Any = built  # of this very class, whatever those of subclasses take
    constructed = constructor.__init__ if isinstance(built, type) else built
    try:
        return get_type_hints(constructed)
    except (NameError, TypeError):  # names that only a type checker sees
        return {}


def _check(key: str, value: object, hint: Any) -> None:
    if not _fits(value, hint):
        shown = "null" if value is None else value
        told = nearest(str(value), map(str, get_args(hint))) if get_origin(hint) is Literal else _described(hint)
        raise InputError(f"{key}={shown}: {told}")


def _fits(value: object, hint: Any) -> bool:
    """Whether a plain value can be what an annotation says; annotations of no plain values fit all that is built."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if origin in SEQUENCES:
        return isinstance(value, list | tuple) and all(_fits(one, arguments[0]) for one in value if arguments)
    if hint is float:
        return _is_number(value) and math.isfinite(value)
    if hint in (str, Path):
        return isinstance(value, str | Path)
    if hint is int:
        return _is_number(value) and isinstance(value, int)
    if hint in (bool, NoneType):
        return isinstance(value, hint)
    return isinstance(value, dict) or hint in (Any, object) or not isinstance(hint, type)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _described(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        plain = [one for one in arguments if one in NAMES or get_origin(one)]
        typed = arguments if plain == [NoneType] else plain
        return " or ".join(dict.fromkeys(_described(one) for one in typed))
    if origin is Literal:
        return " or ".join(str(one) for one in arguments)
    if origin in SEQUENCES:
        return "a list, of each element: " + _described(arguments[0]) if arguments else "a list"
    return NAMES.get(hint, f"a group of values with {TARGET}")
