"""``protocol=glob(m3l/*)``: which options of a group a sweep goes through, those in its subfolders too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from dgreid.errors import InputError, nearest
from dgreid.run.compose import errors_end_the_command


class SweepMatches(Callback):
    """Hydra calls it before a sweep: writes each pattern out, which Hydra matches with a group's own folder only.

    Hydra would start nothing, and say nothing, where one matches nothing.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Ends the command at an error, which Hydra would turn into a warning."""
        with errors_end_the_command():
            write_out(config, GlobalHydra.instance().config_loader())


def write_out(config: DictConfig, loader: ConfigLoader) -> None:
    """Replaces each pattern of a sweep by the options that it matches.

    Args:
        config: of the sweep, with Hydra's part; changed in place.
        loader: knows the groups of the project and of the user's folders.

    Raises:
        InputError: a value of the sweep matches nothing.
    """
    with read_write(config.hydra):
        config.hydra.overrides.task = written_out(list(config.hydra.overrides.task), loader)
        for key, value in (config.hydra.sweeper.get("params") or {}).items():
            (word,) = written_out([f"{key}={value}"], loader)
            config.hydra.sweeper.params[key] = word.partition("=")[2]


def written_out(words: Sequence[str], loader: ConfigLoader) -> list[str]:
    """What was typed, patterns as lists of the options that they match.

    Raises:
        InputError: one matches nothing, or a range is empty.
    """
    typed = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    return [_written_out(word, override, loader) for word, override in zip(words, typed, strict=True)]


def _written_out(word: str, override: Override, loader: ConfigLoader) -> str:
    pattern = override.value()
    if isinstance(pattern, Glob):
        options = options_of(override.key_or_group, loader)
        matched = pattern.filter(options)
        if not matched:
            known = nearest(", ".join(pattern.include), options) if options else "glob() is for groups of files"
            raise InputError(f"{word} matches no {override.key_or_group}, so there would be no run; {known}")
        return f"{word.partition('=')[0]}={','.join(matched)}"
    if (
        override.is_sweep_override()
        and override.is_discrete_sweep()
        and not any(True for _ in override.sweep_iterator())
    ):
        raise InputError(f"{word} has no value, so there would be no run; name one at least, e.g. seed=0,1,2")
    return word


def options_of(group: str, loader: ConfigLoader) -> list[str]:
    """The options of a group, sorted, those in subfolders as ``<folder>/<option>``."""
    options = loader.get_group_options(group, ObjectType.CONFIG)
    for folder in loader.get_group_options(group, ObjectType.GROUP):
        options += [f"{folder}/{option}" for option in options_of(f"{group}/{folder}", loader)]
    return sorted(options)
