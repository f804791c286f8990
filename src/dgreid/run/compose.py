"""From the command line to a resolved configuration, and from an error to one readable message."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from dgreid.data.lost_workers import lost_worker
from dgreid.errors import InputError, nearest
from dgreid.run.launchers import missing_launcher
from dgreid.run.quiet import keep_terminal_readable
from dgreid.run.reports import report, tell

CATALOGUE = "catalogue"
EXAMPLES = {"sources": "'[market1501,msmt17v1]' (or a protocol=...)", "target": "cuhknp", "run": "runs/demo/.../seed0"}


def conf_folder() -> Path:
    """The Hydra tree: beside ``src`` in a checkout, inside the package in an installed copy."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1] / "conf"
    return checkout if (checkout / "train.yaml").is_file() else package / "conf"


def catalogue_names() -> list[str]:
    """The domains that exist: one file each in ``conf/domain``."""
    return sorted(path.stem for path in (conf_folder() / "domain").glob("*.yaml"))


def register_catalogue() -> None:
    """Makes ``domain=catalogue`` compose every file of ``conf/domain``: adding a file adds a domain."""
    ConfigStore.instance().store(group="domain", name=CATALOGUE, node={"defaults": [*catalogue_names(), "_self_"]})


def command(
    task: Callable[[DictConfig], float | None],
    config_name: str,
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Callable[[], None]:
    """A console command: Hydra around ``task``, errors of the user as one message and exit code 1.

    Args:
        task: gets the composed configuration; what it returns is what a sweeper may choose by.
        config_name: file in the Hydra tree, without suffix.
        around: surrounds all that Hydra does.
    """

    def main() -> None:
        wants_stack = os.environ.get("HYDRA_FULL_ERROR") == "1" and "DGREID_MESSAGES" not in os.environ
        # Otherwise Hydra prints a stack of its own and exits before a message can be written.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        if not wants_stack:
            os.environ["DGREID_MESSAGES"] = "1"  # tells the processes of further ranks that the user asked for no stack
        register_catalogue()
        keep_terminal_readable()
        job = task if wants_stack else _job(task)
        wrapped = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=config_name)(job)
        try:
            with around():
                wrapped()
        except KeyboardInterrupt:
            print("stopped by the keyboard", file=sys.stderr)
            sys.exit(130)
        except SystemExit as stop:
            # Lightning leaves with code 0, as if the run had ended well; importing its class would take seconds.
            if type(stop).__name__ == "SIGTERMException":
                print("stopped by SIGTERM; continue it with resume=auto", file=sys.stderr)
                sys.exit(143)
            if isinstance(stop.__context__, KeyboardInterrupt):  # with code 1, as if something were wrong
                print("stopped by the keyboard", file=sys.stderr)
                sys.exit(130)
            raise
        except Exception as error:
            message = None if wants_stack else readable(error)
            if message is not None:
                tell(message)
            elif not report(None, error):
                raise
            sys.exit(1)

    return main


def _job(task: Callable[[DictConfig], float | None]) -> Callable[[DictConfig], float | None]:
    """Ends a single run at an error of the user; a job of a sweep fails, and the sweep goes on."""

    @functools.wraps(task)
    def job(config: DictConfig) -> float | None:
        try:
            return task(config)
        except Exception as error:
            message = readable(error)
            if message is None:
                raise
            tell(message)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise InputError("not every run of this sweep succeeded; the messages stand above") from None
            sys.exit(1)

    return job


@contextmanager
def errors_end_the_command() -> Iterator[None]:
    """For Hydra's callbacks, whose errors it would turn into warnings: one that the user can mend is told and ends it.

    Raises:
        SystemExit: such an error came, with code 1.
    """
    try:
        yield
    except Exception as error:
        message = readable(error)
        if message is None:
            raise
        tell(message)
        sys.exit(1)


def readable(error: BaseException) -> str | None:
    """The message for an error that the user can mend, None for any other error.

    Args:
        error: what was raised; its causes are searched too, since Hydra wraps what a constructor raises.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):
            return str(cause)
        cause = cause.__cause__
    if lost := lost_worker(error):
        return lost
    if isinstance(error, MissingConfigException):
        return _missing_config(error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _configuration_error(error)
    return None


def _missing_config(error: MissingConfigException) -> str:
    wanted = str(error.missing_cfg_file or "")
    if (launcher := missing_launcher(wanted.removeprefix("hydra/launcher/"))) is not None:
        return launcher
    group, _, option = wanted.partition("/")
    folder = conf_folder() / group
    options = {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")}
    if not group or not options:
        return str(error).splitlines()[0]
    return f"{group}={option}: there is no such {group}; {nearest(option, options)}"


def _configuration_error(error: Exception) -> str:
    # Both libraries end their messages with internal type names, which help nobody who typed a key wrongly.
    internal = ("full_key", "object_type", "reference_type", "To append", "Key '", "HYDRA_FULL_ERROR")
    if isinstance(error, MissingMandatoryValue):
        key = getattr(error, "full_key", "") or str(error).rpartition(": ")[2].splitlines()[0]
        return f"{key} must be given, e.g. {key}={EXAMPLES.get(key, '<value>')}; see --help"
    if isinstance(error, OverrideParseException):
        if "=" not in str(error.override):
            return f"{error.override} cannot be understood; values are given as key=value, e.g. experiment=demo"
        example = "'data_root=\"/données/a b\"'"
        return (
            f"{error.override} cannot be understood; a value with special characters needs quotes of its own: {example}"
        )
    # The first line of a failed construction names internals; its cause says what was wrong.
    constructed = isinstance(error, InstantiationException) and error.__cause__ is not None
    parts = [str(error.__cause__)] if constructed else [str(error), str(error.__cause__ or "")]
    lines = [line.strip().rstrip(".") for part in parts for line in part.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(internal)]
    return "; ".join(dict.fromkeys(kept)) + _key_hint(error)


def _key_hint(error: Exception) -> str:
    cause = error.__cause__
    key = getattr(cause, "full_key", None) or getattr(error, "full_key", None)
    parent = getattr(cause, "parent_node", None) or getattr(error, "parent_node", None)
    if not key or not isinstance(parent, DictConfig):
        return ""
    return f"; {nearest(str(key).rpartition('.')[2], [str(name) for name in parent])}"


def task_overrides() -> list[str]:
    """What was typed on the command line for this job, ``key=value`` each; empty outside a Hydra command."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
