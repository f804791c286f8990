"""Small functions over processes; each is the identity with one process."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def rank_and_world_size() -> tuple[int, int]:
    """This process's rank and the number of processes; (0, 1) outside a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather_rows(rows: Tensor) -> Tensor:
    """Rows of all ranks, in rank order, on every rank; without gradient.

    Args:
        rows: (B, ...) with the same shape and dtype on every rank.

    Returns:
        (world_size * B, ...); ``rows`` itself with one process.
    """
    _, world_size = rank_and_world_size()
    if world_size == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(world_size)]
    dist.all_gather(parts, rows.detach().contiguous())
    return torch.cat(parts)


def sum_over_ranks(value: Tensor) -> Tensor:
    """Sum of a tensor over all ranks, on every rank; without gradient."""
    _, world_size = rank_and_world_size()
    if world_size > 1:
        value = value.detach().clone()
        dist.all_reduce(value)
    return value


def leave() -> None:
    """Ends the process group once all ranks are here; left open, its threads can abort an exiting process."""
    if rank_and_world_size()[1] > 1:
        dist.barrier()
        dist.destroy_process_group()
