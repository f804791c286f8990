"""Learning-rate schedules, stepped once an epoch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from dgreid.errors import InputError


def warmup_multi_step_factor(
    epoch: int, milestones: Sequence[int], gamma: float, warmup_epochs: int, warmup_factor: float
) -> float:
    """What multiplies the learning rate in an epoch.

    Rises linearly from ``warmup_factor`` in epoch 0 to 1 in epoch ``warmup_epochs``; drops by ``gamma`` AT every
    milestone.
    """
    done = min(epoch / warmup_epochs, 1.0) if warmup_epochs else 1.0
    return (warmup_factor * (1 - done) + done) * gamma ** bisect_right(milestones, epoch)


def warmup_multi_step(
    optimizer: Optimizer,
    milestones: Sequence[int] = (30, 50),
    gamma: float = 0.1,
    warmup_epochs: int = 10,
    warmup_factor: float = 0.1,
) -> LambdaLR:
    """Linear warm-up, then steps down; the schedule of M3L (``warmup_factor`` 0.01) and IL (0.1).

    Args:
        optimizer: whose learning rates are scaled.
        milestones: ascending epochs at which the rate drops.
        gamma: factor of each drop.
        warmup_epochs: epochs until the full rate; 0 for none.
        warmup_factor: factor in epoch 0.

    Raises:
        InputError: if the milestones do not ascend from 1 on, or a factor is not in 0..1.
    """
    if list(milestones) != sorted(set(milestones)) or min(milestones, default=1) < 1:
        raise InputError(f"milestones={list(milestones)} must ascend from 1 on without repetition, such as [30, 50].")
    for name, factor in (("gamma", gamma), ("warmup_factor", warmup_factor)):
        if not 0 <= factor <= 1:
            raise InputError(f"{name}={factor} must lie in 0..1: what multiplies the learning rate.")
    if warmup_epochs < 0:
        raise InputError(f"warmup_epochs={warmup_epochs} must not be negative; 0 starts at the full rate.")
    return LambdaLR(
        optimizer,
        lambda epoch: warmup_multi_step_factor(epoch, milestones, gamma, warmup_epochs, warmup_factor),
    )
