"""Where a trained net looks: activation maps of some images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dgreid.evaluation.figures import activation_maps
from dgreid.evaluation.observations.activation_energy import channel_energy
from dgreid.module import ReIDModule
from dgreid.types import ReIDBatch, ReIDRecord


class Activations(NamedTuple):
    """Some images and where the net was active on them.

    Attributes:
        records: the images.
        pixels: of each, (H, W, 3) uint8 RGB as the net saw it.
        energies: (B, h, w) channel energy of the last maps, 0..1.
    """

    records: Sequence[ReIDRecord]
    pixels: Sequence[NDArray[Any]]
    energies: NDArray[Any]

    def draw(self, path: Path) -> Path:
        """Writes the picture."""
        return activation_maps(self.records, self.pixels, self.energies, path)


def activations(module: ReIDModule, batch: ReIDBatch, records: Sequence[ReIDRecord]) -> Activations | None:
    """The channel energy of the net that evaluation uses, for some images.

    Args:
        module: net and strategy with the weights to look at.
        batch: the images as a loader gives them: (B, 3, H, W) uint8.
        records: of each, its identity and camera.

    Returns:
        None for a net without maps, such as a transformer.
    """
    net = module.strategy.inference_net(module.net).eval()
    moved = batch._replace(images=batch.images.to(module.device))
    maps = last_maps(net, module.on_after_batch_transfer(moved, 0).images)
    if maps is None:
        return None
    pixels = [image.permute(1, 2, 0).cpu().numpy() for image in batch.images]
    return Activations(records, pixels, channel_energy(maps))


@torch.no_grad()
def last_maps(net: nn.Module, images: Tensor) -> Tensor | None:
    """The last maps that any layer of a net returns in a forward: (B, C, h, w) with more than one place, or None.

    Args:
        net: anything; its layers need no names.
        images: (B, 3, H, W) normalised, on the net's device.
    """
    found: list[Tensor] = []

    def keep(layer: nn.Module, arguments: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2:].numel() > 1:
            found[:] = [output]

    handles = [layer.register_forward_hook(keep) for layer in net.modules()]
    try:
        net(images)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None
