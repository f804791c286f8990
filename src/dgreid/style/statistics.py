"""The style of an image in a map, and the map in another style."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EPS = 1e-6  # of MixStyle's, DSU's and IL's releases
SLICE = 2**20  # numbers, which a processor's cache holds


class Statistics(NamedTuple):
    """Of each channel of each image over its pixels.

    Attributes:
        mean: (B, C).
        variance: (B, C), unbiased.
    """

    mean: Tensor
    variance: Tensor

    def std(self, eps: float) -> Tensor:
        """(B, C) square root of variance plus ``eps``, so that a constant channel has a derivative too."""
        return (self.variance + eps).sqrt()


def channel_statistics(maps: Tensor) -> Statistics:
    """Styles of the images of a batch.

    Args:
        maps: (B, C, H, W) with at least two pixels; detach it to have statistics without gradient.

    Returns:
        in single precision or the maps' own, whichever is finer.
    """
    precise = maps.to(torch.promote_types(maps.dtype, torch.float32))
    if precise.device.type == "cpu" and not precise.requires_grad:
        return _in_slices(precise)
    variance, mean = torch.var_mean(precise, dim=(2, 3))
    return Statistics(mean, variance)


def _in_slices(maps: Tensor) -> Statistics:
    # On a processor torch.var_mean takes one number at a time, ten times as long as this.
    images = max(1, SLICE // maps[0].numel())
    statistics = [_by_definition(part) for part in maps.split(images)]
    return Statistics(*(torch.cat(one) for one in zip(*statistics, strict=True)))


def _by_definition(maps: Tensor) -> Statistics:
    mean = maps.mean(dim=(2, 3), keepdim=True)
    squares = (maps - mean).square_().sum(dim=(2, 3))
    return Statistics(mean.flatten(1), squares / (maps.shape[2] * maps.shape[3] - 1))


def restyle(maps: Tensor, statistics: Statistics, mean: Tensor, std: Tensor, eps: float = EPS) -> Tensor:
    """Maps with other means and standard deviations, in one pass: ``(maps - own mean) / own std * std + mean``.

    Args:
        maps: (B, C, H, W) in any memory format, which is kept.
        statistics: the maps' own.
        mean: (B, C) wanted.
        std: (B, C) wanted; a negative one turns the map upside down.
        eps: within the root of the maps' own standard deviation.

    Returns:
        (B, C, H, W) in the maps' dtype.
    """
    scale = std / statistics.std(eps)
    shift = mean - statistics.mean * scale
    return torch.addcmul(shift[..., None, None], maps, scale[..., None, None]).to(maps.dtype)
