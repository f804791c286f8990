"""Convolution whose second derivative uses the kernels of the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Conv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d` with a fast second derivative; same results, same ``state_dict``.

    Autograd writes the second derivative as convolutions whose kernels have the size of the maps, for which no
    processor's library is made, least of all channels-last. Here it is four products of the kinds that training uses.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, h, w)."""
        plain = maps.dim() == 4 and self.groups == 1 and self.bias is None and self.padding_mode == "zeros"
        if not (plain and isinstance(self.padding, tuple) and maps.requires_grad and torch.is_grad_enabled()):
            return super().forward(maps)
        weight = self.weight
        if torch.is_autocast_enabled(maps.device.type) and maps.dtype != torch.float64:
            dtype = torch.get_autocast_dtype(maps.device.type)
            maps, weight = maps.to(dtype), weight.to(dtype)
        convolved: Tensor = _Convolve.apply(maps, weight, (self.stride, self.padding, self.dilation))
        return convolved


@contextmanager
def without_weight_gradients() -> Iterator[None]:
    """First derivatives by weights are taken, but their values are zeros: for whoever only differentiates them again.

    Spares one of the two products in each layer's backward; it belongs around that backward alone. It holds for
    :class:`Conv2d`, in all threads.
    """
    before = _ConvolveBackward.shape_is_enough
    _ConvolveBackward.shape_is_enough = True
    try:
        yield
    finally:
        _ConvolveBackward.shape_is_enough = before


Geometry = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class _Convolve(torch.autograd.Function):
    """y = weight * x, bilinear; so all second derivatives are first derivatives of the other factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return F.conv2d(x, weight, None, *geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_x, grad_weight = _ConvolveBackward.apply(grad, *ctx.saved_tensors, ctx.geometry)
        return grad_x, grad_weight, None


class _ConvolveBackward(torch.autograd.Function):
    """(gradient of y, x, weight) to the gradients of (x, weight)."""

    shape_is_enough = False  # for all threads: on a GPU backward runs in threads of its own

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(grad, x, weight)
        ctx.geometry = geometry
        wanted = not _ConvolveBackward.shape_is_enough
        grad_x, grad_weight, _ = _derivatives(grad, x, weight, geometry, [True, wanted, False])
        return grad_x, grad_weight if wanted else weight.new_zeros(()).expand_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor, u_weight: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by (grad, x, weight) of <u, grad_x> + <u_weight, grad_weight>."""
        grad, x, weight = ctx.saved_tensors
        by_grad = F.conv2d(u, weight, None, *ctx.geometry)
        by_grad += F.conv2d(x, u_weight, None, *ctx.geometry)
        by_x = _derivatives(grad, x, u_weight, ctx.geometry, [True, False, False])[0]
        by_weight = _derivatives(grad, u, weight, ctx.geometry, [False, True, False])[1]
        return by_grad, by_x, by_weight, None


def _derivatives(
    grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Torch's own kernel: gradients of (x, weight, bias), where wanted."""
    stride, padding, dilation = geometry
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, stride, padding, dilation, False, (0, 0), 1, wanted
    )
