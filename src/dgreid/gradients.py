"""Gradients that are computed within a loss, one part of it at a time, and handed over by the loss's own backward."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Deposit(torch.autograd.Function):
    """Has the value it is given, and the gradients it is given."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("gradients that were computed by hand can be deposited once; compute the loss again")
        return None, None, *(gradient * scale for gradient in gradients)


def with_gradients(value: Tensor, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """A loss whose backward deposits gradients that were computed by hand, once.

    Gradient averaging over processes and clipping see what they would see of any other loss.

    Args:
        value: scalar; its own graph is cut off.
        parameters: leaves that get the gradients.
        gradients: of the value, one for each parameter, in its shape.
    """
    deposited: Tensor = _Deposit.apply(value.detach(), gradients, *parameters)
    return deposited


def grad(outputs: Tensor | Sequence[Tensor], inputs: Sequence[Tensor], **options: Any) -> tuple[Any, ...]:
    """:func:`torch.autograd.grad` outside of autocast, which takes digits from backward passes that are in float32.

    Losses compute scores in float32 also under ``bf16-mixed``; a backward within autocast would round theirs.
    """
    with torch.autocast(inputs[0].device.type, enabled=False):
        return torch.autograd.grad(outputs, inputs, **options)


class SummedGradients:
    """Adds up the gradients of several losses, so that no two of their graphs are in memory at once.

    Args:
        parameters: leaves; one that no loss reaches gets no gradient.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        self.sums: list[Tensor | None] = [None] * len(self.parameters)

    def take(self, loss: Tensor, weight: float) -> Tensor:
        """Adds the gradient of ``weight * loss`` and lets go of its graph.

        Returns:
            The loss without its graph.
        """
        parts = grad(loss * weight, self.parameters, allow_unused=True)
        for position, part in enumerate(parts):
            if part is not None:
                total = self.sums[position]
                self.sums[position] = part if total is None else total + part  # in place might write into another
        return loss.detach()

    def deposited(self, value: Tensor) -> Tensor:
        """A loss of this value whose backward deposits the sums, once."""
        reached = [(leaf, total) for leaf, total in zip(self.parameters, self.sums, strict=True) if total is not None]
        leaves, totals = zip(*reached, strict=True)
        return with_gradients(value, leaves, totals)
