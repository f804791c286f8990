"""One job of a sweep, in whatever process the launcher gave it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig

from dgreid.run.cells import (
    STOPPED,
    Cell,
    check_score_wanted,
    notes_folder,
    planned_cells,
    source_score,
)
from dgreid.run.compose import readable, task_overrides
from dgreid.run.gpus import own_gpus
from dgreid.run.processes import process_count, this_rank
from dgreid.run.sweep_table import print_cell

ON_GPUS = ("auto", "gpu", "cuda")
SEVERAL_AT_ONCE = ("joblib", "submitit_local")  # on one machine


def job_of_sweep(
    config: DictConfig, run: Callable[[Mapping[str, str]], None], folder: Callable[[], Path]
) -> float | None:
    """Runs a job, and leaves a note of how it ended.

    Args:
        config: the job's.
        run: does it, with additions to the environment of the job's own processes.
        folder: of its run; raises where the configuration does not say.

    Returns:
        The sources' validation; None where there is none.
    """
    hydra = HydraConfig.get()
    launcher, sweeper = hydra.runtime.choices["hydra/launcher"], hydra.runtime.choices["hydra/sweeper"]
    notes = notes_folder()
    if notes is None or this_rank():
        check_score_wanted(sweeper, config)
        run({})
        return source_score(folder())
    if launcher == "joblib":
        _leave_signals_to_the_sweep()
    if (notes / STOPPED).exists():
        return None
    place = None
    with suppress(Exception):  # what is wrong is told by the run
        place = str(folder())
    cell = Cell(int(hydra.job.num), task_overrides(), place, "running", process=os.getpid())
    cell.write(notes)
    log = notes / f"{cell.number}.log" if launcher == "joblib" else None
    try:
        check_score_wanted(sweeper, config)
        with _output_to(log), _gpus(config, launcher, notes) as environment:
            run(environment)
    except Exception as error:
        message = readable(error) or f"{type(error).__name__}: {error}"
        said = f" (all it said: {log})" if log is not None and log.is_file() and log.stat().st_size else ""
        cell = cell._replace(state="failed", message=message + said)
        raise
    except BaseException:  # a signal
        cell = cell._replace(state="stopped")
        if not (notes / STOPPED).exists():
            raise
    else:
        cell = cell._replace(state="done")
    finally:
        cell.write(notes)
        if launcher == "joblib":
            print_cell(cell, planned_cells(notes))
    return source_score(None if place is None else Path(place)) if cell.state == "done" else None


def _leave_signals_to_the_sweep() -> None:
    """Ctrl-C reaches all processes of a terminal; the one that started the sweep tells the others what to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: None)  # heard while a run is under way, and sent on to it


def _gpus(config: DictConfig, launcher: str, notes: Path) -> AbstractContextManager[dict[str, str]]:
    """GPUs of the job's own where several jobs run on this machine and nobody said which GPUs to take."""
    devices, accelerator = config.trainer.get("devices", 1), config.trainer.get("accelerator", "auto")
    if launcher not in SEVERAL_AT_ONCE or accelerator not in ON_GPUS or isinstance(devices, list | ListConfig):
        return nullcontext({})
    return own_gpus(process_count(config), notes)


@contextmanager
def _output_to(log: Path | None) -> Iterator[None]:
    """Sends what this process and those it starts print to a file; several runs on one terminal cannot be read."""
    if log is None:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    with log.open("ab") as file:
        for number in kept:
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)
