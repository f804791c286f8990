"""The module that every export is of: RGB images in [0, 1] to unit embeddings, with the normalisation inside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dgreid.errors import InputError

UNIT_TOLERANCE = 1e-4


class ImageEmbedder(nn.Module):
    """Normalisation and a net as one module, so that nobody normalises twice or not at all.

    Args:
        net: (N, 3, H, W) normalised images to (N, D) embeddings of unit length; put into evaluation mode.
        mean: RGB mean that the net's images are normalised with, in 0..1.
        std: RGB standard deviation, likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(tuple(values)).view(1, 3, 1, 1), persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) float32 RGB in [0, 1] to (N, D) embeddings of unit length."""
        embedding: Tensor = self.net((images - self.mean) / self.std)
        return embedding


def embedding_dimension(embedder: ImageEmbedder, height: int, width: int) -> int:
    """D, found by embedding two images.

    Args:
        embedder: a run's.
        height: rows of its images, in pixels.
        width: columns.

    Raises:
        InputError: what comes out is not one unit vector for each image.
    """
    count = 2
    with torch.inference_mode():
        found = embedder(example_images(count, height, width))
    name = type(embedder.net).__name__
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != count:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(
            f"the strategy's inference net ({name}) gives {shape} for {count} images; it must give (N, D) embeddings"
        )
    length = found.norm(dim=1)
    if not bool(((length - 1).abs() <= UNIT_TOLERANCE).all()):
        raise InputError(
            f"the strategy's inference net ({name}) gives embeddings of length {float(length.max()):g}; they must have "
            "unit length: end its forward with torch.nn.functional.normalize"
        )
    return found.shape[1]


def example_images(count: int, height: int, width: int) -> Tensor:
    """(count, 3, height, width) images in [0, 1], the same in each call: large patches of colour under fine noise."""
    generator = torch.Generator().manual_seed(count)
    coarse = torch.rand(count, 3, 4, 2, generator=generator)
    patches = nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (patches + torch.rand(count, 3, height, width, generator=generator)) / 2
