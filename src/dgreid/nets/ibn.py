"""IBN-a: instance and batch normalisation side by side (Pan et al., ECCV 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InstanceBatchNorm(nn.Module):
    """Normalises the first half of the channels per instance, the rest per batch.

    The instance half is affine, has no running statistics and sees the image's own statistics in evaluation too.
    Its parts are called ``IN`` and ``BN`` because the authors' weight files call them so.

    Args:
        channels: number of channels; the first ``channels // 2`` are normalised per instance.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sizes = (channels // 2, channels - channels // 2)
        self.IN = nn.InstanceNorm2d(self.sizes[0], affine=True)
        self.BN = nn.BatchNorm2d(self.sizes[1])

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, h, w) to the same shape."""
        instance, batch = maps.split(self.sizes, dim=1)
        return torch.cat((self.IN(instance.contiguous()), self.BN(batch.contiguous())), dim=1)
