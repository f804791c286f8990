"""Small functions over processes; each is the identity with one process.

Every process must call them, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
        value = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(value)
    return value


def rows_of_this_rank(everything: Tensor) -> Tensor:
    """This process's part of rows of all processes, of which each has as many.

    Args:
        everything: (world_size * B, ...) in rank order.
    """
    rank, world_size = rank_and_world_size()
    return everything if world_size == 1 else everything.chunk(world_size)[rank]


def gather_with_gradient(rows: Tensor) -> Tensor:
    """:func:`gather_rows` with gradient, which may be differentiated again, as often as wanted.

    A row counts in the losses of all processes, so its gradient is the sum of theirs: that of the sum of all losses.
    """
    if rank_and_world_size()[1] == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)
    return gathered


def mean_over_ranks(value: Tensor) -> Tensor:
    """Mean of a tensor over all ranks, on every rank; with gradient as :func:`gather_with_gradient`."""
    world_size = rank_and_world_size()[1]
    if world_size == 1:
        return value
    total: Tensor = _Sum.apply(value)
    return total / world_size


def mean_of_each(values: Sequence[Tensor]) -> list[Tensor]:
    """:func:`mean_over_ranks` of several tensors of one dtype, sent together."""
    if rank_and_world_size()[1] == 1 or not values:
        return list(values)
    flat = mean_over_ranks(torch.cat([value.flatten() for value in values]))
    parts = flat.split([value.numel() for value in values])
    return [part.view(value.shape) for part, value in zip(parts, values, strict=True)]


@torch.no_grad()
def follow_first_rank(values: Sequence[Tensor]) -> None:
    """Overwrites tensors with rank 0's, those of one dtype sent together."""
    if rank_and_world_size()[1] == 1:
        return
    for dtype in dict.fromkeys(value.dtype for value in values):
        alike = [value for value in values if value.dtype == dtype]
        flat = torch.cat([value.flatten() for value in alike])
        dist.broadcast(flat, 0)
        for value, part in zip(alike, flat.split([value.numel() for value in alike]), strict=True):
            value.copy_(part.view(value.shape))


# torch.distributed.nn.functional has such functions too, but announces their end (2.15); SyncBatchNorm's own have no
# second derivative. Each backward here is made of these functions again.
class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return gather_rows(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        own: Tensor = _OwnRowsOfSum.apply(gradient)
        return own


class _OwnRowsOfSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, everything: Tensor) -> Tensor:
        return rows_of_this_rank(sum_over_ranks(everything))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gathered: Tensor = _Gather.apply(gradient)
        return gathered


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return sum_over_ranks(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(gradient)
        return total


def leave() -> None:
    """Ends the process group once all ranks are here; left open, its threads can abort an exiting process."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
