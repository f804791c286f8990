"""Embeddings averaged over an image and its mirror image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class FlipAveraged(nn.Module):
    """A net whose embedding is the mean of an image's and its mirror image's, at unit length again.

    Twice the work of the net alone. Neither release does it; published numbers of other methods may.

    Args:
        net: module from images (B, 3, H, W) to unit embeddings (B, D).
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """(B, D) embeddings at unit length of (B, 3, H, W) images."""
        return F.normalize(self.net(images) + self.net(images.flip(3)), dim=1)
