"""Strategies by what a user has of them: a class, something that makes one, or a file of configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

from dgreid.errors import InputError
from dgreid.run.compose import conf_folder, readable
from dgreid.run.composition import composed
from dgreid.run.values import check_values
from dgreid.strategies.base import TrainingStrategy
from dgreid.testing.failures import require, some

GROUP = "strategy"
TARGET = "_target_"
OF_HYDRA = {TARGET, "_partial_", "_convert_", "_recursive_"}


def settings_of(strategy: str | Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration that a run with this strategy has of it.

    Args:
        strategy: a file ``<folder>/strategy/<name>.yaml``, or a name in the project's own.
        overrides: as typed after a command, ``key=value`` each.

    Raises:
        InputError: there is no such file, or it does not compose.
    """
    path = Path(strategy)
    folders: list[Path] = []
    if path.suffix == ".yaml":
        if not path.is_file() or path.absolute().parent.name != GROUP:
            raise InputError(f"{path}: give a file that exists, in a folder called {GROUP}")
        folders = [folder for folder in [path.absolute().parent.parent] if folder != conf_folder()]
    try:
        config = composed([f"{GROUP}={path.stem}", *overrides], folders=folders)
        check_values(config)
        settings: Any = OmegaConf.to_container(config[GROUP], resolve=True)
    except Exception as error:
        raise InputError(readable(error) or f"{GROUP}={path.stem}: {error}") from error
    return dict(settings)


def factory_of(settings: Mapping[str, Any]) -> Callable[[], TrainingStrategy]:
    """What makes a strategy of its configuration, at each call a new one."""
    return partial(instantiate, OmegaConf.create(dict(settings)), _convert_="all")


def configuration(settings: Mapping[str, Any]) -> None:
    """The keys of a strategy's file are parameters of its constructor, and it says all that have no default."""
    require_bound(settings)
    parameters = inspect.signature(get_object(settings[TARGET])).parameters.values()
    loose = [one.name for one in parameters if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    require(
        not loose,
        f"{settings[TARGET]} takes *{some(loose)}: name each parameter, since the signature is what a mistyped key is "
        "compared with",
    )


def require_bound(settings: Mapping[str, Any], given_later: Sequence[str] = ()) -> None:
    """All keys must be parameters of what ``_target_`` names, and no parameter without a default be left out.

    Args:
        settings: with ``_target_``; with ``_partial_`` parameters may be left out.
        given_later: parameters that are no keys.

    Raises:
        CheckError: they are not.
    """
    signature = inspect.signature(get_object(settings[TARGET]))
    keys = dict.fromkeys([*(key for key in settings if key not in OF_HYDRA), *given_later])
    try:
        (signature.bind_partial if settings.get("_partial_") else signature.bind)(**keys)
    except TypeError as error:
        raise AssertionError(f"{settings[TARGET]}: {error}; it takes {', '.join(signature.parameters)}") from error
