"""Batch normalisation over the batch of all processes, in any net."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dgreid.batch_parts import Moments, normalised, shared_moments
from dgreid.distributed import rank_and_world_size
from dgreid.errors import InputError
from dgreid.nets.batch_norm import BatchNorm2d


class SharedBatchNorm1d(nn.BatchNorm1d):
    """:class:`torch.nn.BatchNorm1d` whose batch is that of all processes; same ``state_dict``.

    Unlike :class:`torch.nn.SyncBatchNorm` it may be differentiated twice, and runs on any device. Every process must
    have as many rows.
    """

    def forward(self, rows: Tensor) -> Tensor:
        """(B, C) or (B, C, L) to the same shape."""
        return _shared(self, rows) if _is_shared(self) else super().forward(rows)


class SharedBatchNorm2d(BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` whose batch is that of all processes; see :class:`SharedBatchNorm1d`."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return _shared(self, maps) if _is_shared(self) else super().forward(maps)


SHARED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: SharedBatchNorm1d,
    nn.BatchNorm2d: SharedBatchNorm2d,
    BatchNorm2d: SharedBatchNorm2d,
}


def share_batch_norm(net: nn.Module) -> None:
    """Turns batch normalisations into their subclasses over all processes.

    The layers stay the same objects, so parameters, buffers, hooks and names are untouched.

    Args:
        net: changed in place.

    Raises:
        InputError: it has a kind of batch normalisation that cannot be turned so.
    """
    for name, layer in net.named_modules():
        kind = type(layer)
        if isinstance(layer, _BatchNorm) and kind not in SHARED and kind not in SHARED.values():
            raise InputError(
                f"batch_statistics=global, but layer {name} of the net is a {kind.__name__}, which normalises by the "
                "batch of its own process: make it a torch.nn.BatchNorm1d or 2d, or take batch_statistics=local"
            )
        layer.__class__ = SHARED.get(kind, kind)


def _is_shared(layer: _BatchNorm) -> bool:
    return layer.training and rank_and_world_size()[1] > 1


def _shared(layer: _BatchNorm, x: Tensor) -> Tensor:
    layer._check_input_dim(x)
    moments = shared_moments(x)
    if layer.track_running_stats:
        _follow(layer, moments, rank_and_world_size()[1] * x.numel() // x.shape[1])
    return normalised(x, moments, layer.weight, layer.bias, layer.eps)


@torch.no_grad()
def _follow(layer: _BatchNorm, moments: Moments, count: int) -> None:
    """Moves the running statistics, as torch does: the variance of so many numbers unbiased."""
    mean, variance, batches = layer.running_mean, layer.running_var, layer.num_batches_tracked
    assert mean is not None
    assert variance is not None
    assert batches is not None
    batches.add_(1)
    share = 1 / float(batches) if layer.momentum is None else layer.momentum
    mean.lerp_(moments.mean.to(mean.dtype), share)
    variance.lerp_((moments.variance * (count / (count - 1))).to(variance.dtype), share)
