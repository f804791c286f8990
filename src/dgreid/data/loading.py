"""Loaders whose batches do not depend on the number of workers, and how work is shared out."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sized

import torch
from torch.utils.data import DataLoader, Dataset

from dgreid.data.lost_workers import is_overdue
from dgreid.data.worker_signals import outlive_signals
from dgreid.errors import InputError
from dgreid.types import ReIDBatch

ANSWER_WITHIN = 150.0  # seconds that a batch may take before it is asked for once more


class BoundedLoader(DataLoader[ReIDBatch]):
    """A loader that waits for its processes for some minutes, not for ever, and keeps them no longer than it must.

    One that finds no shared memory, or stands still because it was forked at a bad moment, would never answer. It is
    asked twice, since a run that was suspended meanwhile has waited for nothing.
    """

    def __iter__(self) -> Iterator[ReIDBatch]:  # type: ignore[override] # torch names its own class, whose users need an iterator
        batches = super().__iter__()
        left = len(self.sampler) if isinstance(self.sampler, Sized) else -1
        while left:
            batch = _next_within_bounds(batches)
            if batch is None:
                return
            left -= 1
            if left == 0:  # who takes a known number of batches never asks for one more, and would keep the processes
                del batches
            yield batch


def _next_within_bounds(batches: Iterator[ReIDBatch]) -> ReIDBatch | None:
    try:
        return next(batches, None)
    except RuntimeError as error:
        if not is_overdue(error):
            raise
    try:
        return next(batches, None)
    except RuntimeError as error:
        if is_overdue(error):
            _end_loading_processes()
        raise


def _end_loading_processes() -> None:
    """Ends the processes that this one started to load, also those that stand still: nothing may wait for them."""
    for process in multiprocessing.active_children():
        process.kill()


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
        sampler=batches,
        num_workers=workers,
        persistent_workers=persistent and workers > 0,
        timeout=ANSWER_WITHIN if workers else 0,
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
