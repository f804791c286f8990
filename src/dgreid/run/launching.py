"""A command on several processes: this one starts them, one for each device, and waits."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
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
from dgreid.run.compose import readable, task_overrides
from dgreid.run.continued import continued
from dgreid.run.guards import check_training
from dgreid.run.processes import process_count
from dgreid.run.ranks import end_with_starter, run_together
from dgreid.run.reports import report

# What chooses how a sweep is run; each of its jobs is a run of its own.
OF_THE_SWEEP = ("hydra.mode", "hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep")


def on_all_devices(task: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Lets a command's task run on as many processes as its configuration asks for.

    Lightning would start the further ones by the command line of the first, ``-m`` included, so that each would run a
    whole sweep; and a process that fails could leave the others waiting, or have its message buried under theirs.
    """

    def job(config: DictConfig) -> None:
        end_with_starter()
        whole, _ = continued(config, task_overrides())
        count = 1 if is_rank() else process_count(whole)
        if count == 1:
            task(config)
            return
        check_training(whole)
        if (nodes := whole.trainer.get("num_nodes", 1)) > 1:
            raise InputError(
                f"trainer.num_nodes={nodes}: start the command on each machine, with torchrun or srun; "
                "see docs/running.md"
            )
        run_together(own_command(), environments(count))

    return job


def is_rank() -> bool:
    """Whether this process is one of several already: of ours, of torchrun's, or of a cluster's."""
    clusters = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
    return "LOCAL_RANK" in os.environ or any(cluster.detect() for cluster in clusters)


def own_command() -> list[str]:
    """What was typed for this job, as a command: of a sweep's job, that of a single run."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.RUN:
        return [sys.executable, *program, *sys.argv[1:]]
    folders = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    options = [word for folder in folders for word in ("--config-dir", folder)]
    kept = [typed for typed in hydra.overrides.hydra if not typed.lstrip("+~").startswith(OF_THE_SWEEP)]
    return [sys.executable, *program, *options, *kept, *hydra.overrides.task]


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
