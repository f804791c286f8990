"""Which options would lower the memory or the time of a run, of those that apply to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import torch
from omegaconf import DictConfig

from dgreid.callbacks import WAITING_HINT_SHARE
from dgreid.strategies.base import TrainingStrategy

FLOAT32 = ("32-true", "32")
FEWEST_IDENTITIES = 2  # in a process: losses compare one with another


class Machine(NamedTuple):
    """What a run could use.

    Attributes:
        on_gpu: whether it trains on an NVIDIA GPU.
        bf16: whether that GPU computes in bfloat16 and TF32.
        gpus: how many there are.
        cores: of the CPU, for this process.
        processes: how many train.
    """

    on_gpu: bool
    bf16: bool
    gpus: int
    cores: int
    processes: int


def this_machine(device: torch.device, processes: int) -> Machine:
    """The machine as torch and the system see it.

    Args:
        device: where the net is.
        processes: how many train.
    """
    on_gpu = device.type == "cuda"
    bf16 = on_gpu and torch.cuda.get_device_capability(device) >= (8, 0)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(on_gpu, bf16, torch.cuda.device_count(), cores, processes)


def savings(config: DictConfig, strategy: TrainingStrategy, machine: Machine, waiting: float) -> Iterator[str]:
    """Sentences ``option=value: what it does``, the strategy's own first.

    Args:
        config: the run's.
        strategy: its method.
        machine: what it runs on.
        waiting: share of a step (0..1) spent waiting for data.
    """
    yield from strategy.savings()
    yield from _precision(config, machine)
    yield from _devices(config, machine)
    if waiting > WAITING_HINT_SHARE:
        yield from _loading(config, machine, waiting)
    yield from _smaller_batches(config, machine)


def _precision(config: DictConfig, machine: Machine) -> Iterator[str]:
    if not machine.bf16 or str(config.trainer.precision) not in FLOAT32:
        return
    yield "trainer.precision=bf16-mixed: less memory and time, in fewer digits"
    if not config.tf32:
        yield "tf32=true matmul_precision=high: less time, in fewer digits"


def _devices(config: DictConfig, machine: Machine) -> Iterator[str]:
    if not machine.on_gpu:
        if machine.gpus:
            yield "trainer.accelerator=gpu: this machine has a GPU that the run does not use"
        return
    identities = config.data.identities_per_batch
    counts = range(machine.gpus, machine.processes, -1)
    shares = (count for count in counts if identities % count == 0 and identities // count >= FEWEST_IDENTITIES)
    if more := next(shares, None):
        yield f"trainer.devices={more}: each GPU takes its share of a batch, less memory on each and less time"


def _loading(config: DictConfig, machine: Machine, waiting: float) -> Iterator[str]:
    reason = f"for the {100 * waiting:.0f} % of a step that wait for data"
    if config.data.cache == "none":
        yield f"data.cache=disk: {reason}; images are decoded and resized once"
    if config.data.workers < machine.cores:
        yield f"data.workers={machine.cores}: {reason}; images are loaded beside the training"


def _smaller_batches(config: DictConfig, machine: Machine) -> Iterator[str]:
    now = config.data.identities_per_batch
    half = now // 2 - now // 2 % machine.processes
    if half >= FEWEST_IDENTITIES * machine.processes:
        yield f"data.identities_per_batch={half}: fewer images a step (now {now} identities each), so other results"
