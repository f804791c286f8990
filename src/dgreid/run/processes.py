"""How a configuration divides training among processes, and what cannot be divided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig
from pytorch_lightning.utilities import rank_zero_only

from dgreid.errors import InputError
from dgreid.types import DomainInfo


def this_rank() -> int:
    """Number of this process among those of the run, as its environment says it: known before they have met."""
    lightnings: Any = rank_zero_only  # a function, on which Lightning sets the rank
    return int(lightnings.rank)


def process_count(config: DictConfig) -> int:
    """Processes that ``trainer.devices`` and ``trainer.num_nodes`` ask for, one for each device.

    Raises:
        InputError: they do not say a number.
    """
    devices, nodes = config.trainer.get("devices", 1), config.trainer.get("num_nodes", 1)
    if type(nodes) is not int or nodes < 1:
        raise InputError(f"trainer.num_nodes={nodes}: a whole number of at least 1")
    return nodes * _devices(devices, str(config.trainer.get("accelerator", "auto")))


def _devices(devices: object, accelerator: str) -> int:
    if isinstance(devices, list | tuple | ListConfig):
        return len(devices)
    text = str(devices)
    if text in ("auto", "-1"):
        return max(1, torch.cuda.device_count()) if accelerator in ("auto", "gpu", "cuda") else 1
    if text.isdecimal() and int(text) > 0:
        return int(text)
    numbers = [part.strip() for part in text.split(",") if part.strip()]
    if "," in text and numbers and all(number.isdecimal() for number in numbers):
        return len(numbers)
    raise InputError(f"trainer.devices={devices}: a number of at least 1, auto, or the numbers of GPUs, e.g. [0,2]")


def check_processes(config: DictConfig) -> None:
    """A batch must divide into equal parts with statistics of their own.

    Raises:
        InputError: P is no multiple of the processes, a process's rows are too few, or cannot be parted.
    """
    processes = process_count(config)
    people, each = config.data.identities_per_batch, config.data.images_per_identity
    if people % processes:
        raise InputError(
            f"data.identities_per_batch={people} on {processes} processes: it is the number over all processes and "
            f"must be a multiple of theirs, e.g. {processes * (1 + people // processes)}"
        )
    if config.trainer.get("sync_batchnorm", False):
        raise InputError(
            "trainer.sync_batchnorm=true: torch's SyncBatchNorm has no second derivative, and styles and triplets "
            "would still be of one process; batch_statistics=global shares all of them, so leave it out"
        )
    images = people * each // processes
    if images == 1 and (processes == 1 or config.batch_statistics == "local"):
        raise InputError(
            f"{images} image of a domain on a process (data.identities_per_batch={people}, "
            f"data.images_per_identity={each}, {processes} processes): batch statistics need two; raise one of the "
            "first two"
        )
    chunks = config.strategy.get("statistics_chunks", 1)
    if isinstance(chunks, int) and chunks > 1 and (images % chunks or images < 2 * chunks):
        possible = [str(number) for number in range(1, images // 2 + 1) if images % number == 0]
        raise InputError(
            f"strategy.statistics_chunks={chunks} of the {images} images of a domain on a process: parts must be equal "
            f"and of two images or more; take {', '.join(possible)}"
        )


def effective_batch(config: DictConfig, domains: Sequence[DomainInfo], processes: int) -> dict[str, Any]:
    """What a step is made of, for the result: images of each domain, of each process and in all."""
    people, each = int(config.data.identities_per_batch), int(config.data.images_per_identity)
    return {
        "domains": len(domains),
        "identities_per_domain": people,
        "images_per_identity": each,
        "images_per_domain": people * each,
        "images": len(domains) * people * each,
        "processes": processes,
        "images_per_process": len(domains) * people * each // processes,
        "batch_statistics": str(config.batch_statistics),
    }


def batch_line(batch: dict[str, Any]) -> str:
    """:func:`effective_batch` in a line."""
    line = (
        f"batch: {batch['domains']} domains x {batch['identities_per_domain']} identities x "
        f"{batch['images_per_identity']} images = {batch['images']} images a step"
    )
    if batch["processes"] == 1:
        return line
    return (
        f"{line}, {batch['images_per_process']} on each of {batch['processes']} processes "
        f"(batch_statistics={batch['batch_statistics']})"
    )
