"""Which rows of a batch have statistics in common, and batch normalisation over those of all processes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dgreid.distributed import gather_rows, gather_with_gradient


class BatchParts(NamedTuple):
    """Whose statistics are taken together, in normalisation, in styles and in the mining of triplets.

    N processes with ``chunks=C`` each compute what one process computes with ``chunks=N * C``; N processes that share,
    what it computes with one.

    Attributes:
        chunks: so many equal parts of this process's rows, consecutive rows each, count by themselves.
        shared: the rows of all processes count together; ``chunks`` is 1 then.
    """

    chunks: int = 1
    shared: bool = False

    def of(self, rows: Tensor) -> list[Tensor]:
        """The rows that count together, with gradient: parts of this process's, or all processes' in rank order.

        Args:
            rows: (B, ...) of this process, B a multiple of ``chunks`` and equal on all processes.
        """
        return [together(rows)] if self.shared else list(rows.chunk(self.chunks))


WHOLE = BatchParts()


def together(rows: Tensor) -> Tensor:
    """Rows of all processes in rank order, with gradient where there is one."""
    return gather_with_gradient(rows) if rows.requires_grad else gather_rows(rows)


class Moments(NamedTuple):
    """Statistics of each channel over the rows of all processes.

    Attributes:
        mean: (C,).
        variance: (C,), biased.
    """

    mean: Tensor
    variance: Tensor


def shared_moments(x: Tensor) -> Moments:
    """Mean and variance over all but the channels, of all processes' rows; differentiable any number of times.

    Args:
        x: (B, C, ...) of the same shape on every process.

    Returns:
        in single precision or x's own, whichever is finer.
    """
    precise = x.to(torch.promote_types(x.dtype, torch.float32))
    own = torch.var_mean(precise, dim=[0, *range(2, x.dim())], correction=0)
    variances, means = together(torch.stack(own).unsqueeze(0)).unbind(1)
    mean = means.mean(dim=0)
    # Of parts of equal size: their mean variance, and the variance of their means.
    return Moments(mean, variances.mean(dim=0) + (means - mean).square().mean(dim=0))


def normalised(x: Tensor, moments: Moments, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` in each channel.

    Args:
        x: (B, C, ...).
        moments: to normalise by.
        weight: (C,); None counts as 1.
        bias: (C,); None counts as 0.
        eps: within the root.

    Returns:
        in x's shape and dtype.
    """
    inverse = (moments.variance + eps).rsqrt()
    scale = inverse if weight is None else inverse * weight
    shift = -moments.mean * scale if bias is None else bias - moments.mean * scale
    shape = (1, -1, *[1] * (x.dim() - 2))
    return torch.addcmul(shift.view(shape), x.to(scale.dtype), scale.view(shape)).to(x.dtype)
