"""Where a net's maps are large: the energy over channels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def channel_energy(maps: Tensor) -> NDArray[np.float32]:
    """The sum of squares over channels, from 0 at an image's least place to 1 at its greatest.

    Args:
        maps: (B, C, h, w).

    Returns:
        (B, h, w); zeros for an image whose places are all alike.
    """
    energy = maps.detach().float().square().sum(dim=1)
    least, greatest = energy.amin(dim=(1, 2), keepdim=True), energy.amax(dim=(1, 2), keepdim=True)
    span = greatest - least
    return torch.where(span > 0, (energy - least) / span, 0.0).cpu().numpy()


def stretched(energy: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """An (h, w) map at the size of its image, between places linearly: (height, width)."""
    whole = torch.from_numpy(energy)[None, None]
    return functional.interpolate(whole, size=(height, width), mode="bilinear", align_corners=False)[0, 0].numpy()
