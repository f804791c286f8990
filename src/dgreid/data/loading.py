"""Loaders whose batches do not depend on the number of workers, and how work is shared out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import DataLoader, Dataset

from dgreid.data.bounded_loader import BatchOrder, BoundedLoader
from dgreid.data.worker_signals import outlive_signals
from dgreid.errors import InputError
from dgreid.types import ReIDBatch


def batch_loader(
    dataset: Dataset[ReIDBatch], batches: Iterable[object], workers: int, *, persistent: bool = False
) -> DataLoader[ReIDBatch]:
    """A loader that fetches one item of ``dataset`` for each element of ``batches``, in their order.

    Args:
        dataset: its items are whole batches.
        batches: what to fetch; iterated in the main process.
        workers: processes that fetch; 0 fetches in the main process.
        persistent: keep them from one iteration to the next, as is worth it where one epoch follows another.
    """
    return BoundedLoader(
        dataset,
        batch_size=None,
        sampler=BatchOrder(batches),
        num_workers=workers,
        persistent_workers=persistent and workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=outlive_signals,
        generator=torch.Generator(),  # of its own: the loader would draw worker seeds from the global one
    )


def share_workers(total: int, loaders: int, world_size: int = 1) -> list[int]:
    """Divides a total of worker processes over the loaders of one rank.

    Args:
        total: worker processes over all ranks and loaders; 0 loads in the main processes.
        loaders: loaders that run at the same time in one rank.
        world_size: number of ranks.

    Returns:
        Workers for each loader, the first ones getting one more where it does not divide.

    Raises:
        InputError: a negative total.
    """
    if total < 0:
        raise InputError(f"workers={total} must not be negative; 0 loads in the main process")
    share, rest = divmod(total // world_size, loaders)
    return [share + (position < rest) for position in range(loaders)]


class ShardBatches:
    """Batches of this rank's share of 0..size-1, every ``world_size``-th index.

    Each image comes on one rank, once. Ranks beyond the number of images have one that another has too, since Lightning
    passes over a loop without batches, and the others would wait for it.

    Args:
        size: number of images.
        batch_size: images in a batch; the last one may hold fewer.
        rank: this process.
        world_size: number of processes.

    Raises:
        InputError: ``batch_size`` below 1.
    """

    def __init__(self, size: int, batch_size: int, *, rank: int, world_size: int) -> None:
        if batch_size < 1:
            raise InputError(f"test_batch_size={batch_size} must be at least 1")
        mine = list(range(rank % size, size, world_size))
        self.batches = [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
