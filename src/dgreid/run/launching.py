"""A command on several processes: this one starts them, one for each device, and waits."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.environments import (
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from dgreid.errors import InputError
from dgreid.run.cells import program
from dgreid.run.compose import readable, task_overrides
from dgreid.run.continued import continued
from dgreid.run.failures import failure_of_processes_noted
from dgreid.run.folder import run_folder
from dgreid.run.guards import check_training
from dgreid.run.processes import process_count
from dgreid.run.ranks import end_with_starter, run_together
from dgreid.run.reports import report
from dgreid.run.sweep_jobs import job_of_sweep

# What chooses how a sweep is run; each of its jobs is a run of its own.
OF_THE_SWEEP = ("hydra.mode", "hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep")


def on_all_devices(task: Callable[[DictConfig], None]) -> Callable[[DictConfig], float | None]:
    """Lets a command's task run on as many processes as its configuration asks for.

    Lightning would start the further ones by the command line of the first, ``-m`` included, so that each would run a
    whole sweep; and a process that fails could leave the others waiting, or have its message buried under theirs. A
    sweep's job has a process of its own even on one device: it gives all memory back, and no end of it ends the sweep.
    """

    def job(config: DictConfig) -> float | None:
        end_with_starter()
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return job_of_sweep(config, partial(_run_alone, task, config), lambda: own_folder(config))
        if is_rank() or process_count(continued(config, task_overrides())[0]) == 1:
            task(config)
        else:
            run_here(config, {})
        return None

    return job


def _run_alone(task: Callable[[DictConfig], None], config: DictConfig, environment: Mapping[str, str]) -> None:
    if is_rank():  # of a cluster's job, which is this process
        task(config)
    else:
        run_here(config, environment)


def run_here(config: DictConfig, environment: Mapping[str, str]) -> None:
    """Runs this job's command in as many processes of this machine as it needs.

    Args:
        config: as composed.
        environment: of all processes, beside what each is told of its place.

    Raises:
        InputError: one failed, or further machines are asked for.
    """
    whole, _ = continued(config, task_overrides())
    check_training(whole)
    if (nodes := whole.trainer.get("num_nodes", 1)) > 1:
        raise InputError(
            f"trainer.num_nodes={nodes}: start the command on each machine, with torchrun or srun; see docs/running.md"
        )
    count = process_count(whole)
    places = environments(count) if count > 1 else [{}]
    with failure_of_processes_noted(own_folder(config)):
        run_together(own_command(), [{**environment, **place} for place in places])


def own_folder(config: DictConfig) -> Path:
    """Of this job's run."""
    whole, _ = continued(config, task_overrides())
    return run_folder(whole, task_overrides(), str(HydraConfig.get().runtime.choices.get("strategy", "strategy")))


def is_rank() -> bool:
    """Whether this process is one of several already: of ours, of torchrun's, or of a cluster's."""
    clusters = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
    return "LOCAL_RANK" in os.environ or any(cluster.detect() for cluster in clusters)


def own_command() -> list[str]:
    """What was typed for this job, as a command: of a sweep's job, that of a single run."""
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.RUN:
        return [sys.executable, *program(), *sys.argv[1:]]
    folders = {source.provider: source.path for source in hydra.runtime.config_sources}
    options = ["--config-name", str(hydra.job.config_name), "--config-path", folders["main"]]
    options += ["--config-dir", folders["command-line"]] if "command-line" in folders else []
    kept = [typed for typed in hydra.overrides.hydra if not typed.lstrip("+~").startswith(OF_THE_SWEEP)]
    return [sys.executable, *program(), *options, *kept, *hydra.overrides.task]


def environments(count: int) -> list[dict[str, str]]:
    """What tells each of several processes on this machine its place, as torchrun names it."""
    common = {
        "WORLD_SIZE": str(count),
        "NODE_RANK": "0",
        "MASTER_ADDR": os.environ.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": os.environ.get("MASTER_PORT") or str(_free_port()),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // count)),
    }
    return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EarlyReport(Callback):
    """Says why a rank fails when it does, since what ends a trainer may wait for ranks that wait for this one."""

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Reports an error; a signal is none."""
        if isinstance(exception, Exception):
            report(readable(exception), exception)
