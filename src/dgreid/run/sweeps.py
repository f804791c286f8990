"""A sweep as seen by the process that was started for it: what is to be done, stopping it, and what came of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dgreid.errors import InputError
from dgreid.run.cells import STOPPED, SWEEP, Cell, State, notes_folder, planned_launcher, read_cells, write_plan
from dgreid.run.compose import errors_end_the_command
from dgreid.run.folder import run_folder
from dgreid.run.sweep_table import print_sweep

BASIC, JOBLIB, SLURM = "basic", "joblib", "submitit_slurm"
KILLED = "its process ended without a word, perhaps because memory ran out"


class SweepStart(Callback):
    """Hydra calls it before a sweep: makes the folder of notes, and says in it which jobs there are to be."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Ends the command at an error, which Hydra would turn into a warning."""
        with errors_end_the_command():
            begin(config)


def begin(config: DictConfig) -> None:
    """Prepares a sweep.

    Args:
        config: of the sweep, with Hydra's part.

    Raises:
        InputError: a job cannot be composed, there is no cluster, or the folder of notes cannot be written.
    """
    notes = Path(config.hydra.sweep.dir).absolute() / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    launcher = str(config.hydra.runtime.choices["hydra/launcher"])
    if launcher == SLURM and shutil.which("srun") is None:
        raise InputError(f"hydra/launcher={SLURM}: there is no srun here; start it where the cluster takes jobs")
    write_plan(notes, planned(config), launcher)
    os.environ[SWEEP] = str(notes)
    if launcher == JOBLIB:
        _stop_politely(notes)


def planned(config: DictConfig) -> list[Cell]:
    """The jobs that Hydra's basic sweeper will start; other sweepers decide as they go."""
    if config.hydra.runtime.choices["hydra/sweeper"] != BASIC:
        return []
    loader = GlobalHydra.instance().config_loader()
    always = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    typed = OverridesParser.create(config_loader=loader).parse_overrides([*always, *config.hydra.overrides.task])
    jobs = [job for batch in BasicSweeper.split_arguments(typed, None) for job in batch]
    return [Cell(number, job, _folder(loader.load_sweep_config(config, job), job)) for number, job in enumerate(jobs)]


def _folder(config: DictConfig, overrides: list[str]) -> str | None:
    """Of a job's run; the job itself says what is wrong with its values."""
    with suppress(Exception):
        return str(run_folder(config, overrides, str(config.hydra.runtime.choices["strategy"])))
    return None


@contextmanager
def told_at_the_end() -> Iterator[None]:
    """Prints what came of a sweep, if one was begun meanwhile, however it ends.

    Raises:
        InputError: a job failed, and nobody said so yet.
        KeyboardInterrupt: the sweep was stopped by Ctrl-C.
        SIGTERMException: or by SIGTERM.
    """
    before = notes_folder()
    raised = True
    try:
        yield
        raised = False
    finally:
        notes = notes_folder()
        begun = notes is not None and notes != before
        if begun and notes is not None:
            cells = ended_cells(notes)
            print_sweep(cells)
            if (notes / STOPPED).is_file():
                number = int((notes / STOPPED).read_text(encoding="utf-8"))
                raise KeyboardInterrupt if number == signal.SIGINT else SIGTERMException()
            if not raised and any(cell.state != "done" for cell in cells):
                raise InputError("not every run of this sweep succeeded; the messages stand above")


def ended_cells(notes: Path) -> list[Cell]:
    """All jobs once their sweep is over: those that left no last word were killed, if nobody else runs them."""
    cells = read_cells(notes)
    if planned_launcher(notes).startswith("submitit"):  # which leaves jobs to the cluster
        return cells
    how: State = "stopped" if (notes / STOPPED).is_file() else "failed"
    return [cell._replace(state=how, message=KILLED) if cell.state == "running" else cell for cell in cells]


def _stop_politely(notes: Path) -> None:
    """Lets the runs of a sweep save when it is stopped: joblib would kill them.

    A second Ctrl-C does not wait for them.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if (notes / STOPPED).exists():
            raise KeyboardInterrupt
        (notes / STOPPED).write_text(str(number), encoding="utf-8")
        print("stopping: the runs under way save first; once more does not wait for them", file=sys.stderr)
        for cell in read_cells(notes):
            if cell.state == "running":
                with suppress(ProcessLookupError):
                    os.kill(cell.process, signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
