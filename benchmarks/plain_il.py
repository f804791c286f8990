"""The training steps of IL and its baselines FB and FBF as the IL release does them, on torch and torchvision alone.

Written from the formulas, without the project's code: the yardstick of bench_train.py, and an oracle for tests. The
losses' graphs of all domains are in memory at once, styles are changed by one operation after the other, and memories
follow one image after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from plain_m3l import TEMPERATURE, Batches, PlainNet, follow
from torch import Tensor
from torch.distributions import Uniform

Mode = Literal["fb", "fbf", "il"]

STRENGTH = 3.0
SMALLEST_SPREAD = EPS = 1e-6


class Draws:
    """The random choices of a step; tests replace them."""

    def order(self, count: int) -> Tensor:
        """(count,) of the images of the mixed forward."""
        return torch.randperm(count)

    def styles(self, low: Tensor, high: Tensor, rows: int, name: str) -> Tensor:
        """(rows, C) uniform between (C,) ends: the images' new ``mean``, then their new ``std``."""
        return Uniform(low, high).sample((rows,))


class PlainILNet(PlainNet):
    """IL's: the neck's bias stays 0, and a forward may change the maps of the first stage.

    Args:
        blocks: in each of the four stages.
    """

    def __init__(self, blocks: Sequence[int] = (3, 4, 6, 3)) -> None:
        super().__init__(blocks)
        self.neck.bias.requires_grad_(False)

    def embeddings(self, images: Tensor, draws: Draws | None = None) -> Tensor:
        """(B, 3, H, W) images to (B, 2048) unit embeddings; in new styles if there are draws."""
        trunk = self.backbone
        maps = trunk.layer1(trunk.maxpool(trunk.bn1(trunk.conv1(images))))
        if draws is not None:
            maps = interleaved(maps, draws)
        maps = trunk.layer4(trunk.layer3(trunk.layer2(maps)))
        return F.normalize(self.neck(trunk.avgpool(maps).flatten(1)), dim=1)


def interleaved(maps: Tensor, draws: Draws) -> Tensor:
    """(B, C, H, W) maps with new means and standard deviations, drawn around those of the whole batch."""
    mean = maps.mean(dim=(2, 3), keepdim=True)
    variance = maps.var(dim=(2, 3), keepdim=True)
    normalised = (maps - mean) / (variance + EPS).sqrt()
    deviation = maps.std(dim=(2, 3))

    def drawn(values: Tensor, name: str) -> Tensor:
        spread = values.std(dim=0).clamp(min=SMALLEST_SPREAD)
        low, high = values.mean(dim=0) - STRENGTH * spread, values.mean(dim=0) + STRENGTH * spread
        return draws.styles(low, high, len(values), name)[:, :, None, None]

    new_mean = drawn(mean.flatten(1), "mean")
    return normalised * drawn(deviation, "std") + new_mean


class PlainIL:
    """The release's procedure. A step is: ``loss``, backward, the optimizer's step, ``update_memories``.

    Args:
        net: in training mode.
        memories: by domain (identities, 2048) unit rows, changed in place.
        mode: ``fb`` feeds memories from the loss's own forwards; ``fbf`` from one more over all domains' images, under
            the new weights; ``il`` from the same in new styles.
        draws: random choices.
    """

    def __init__(
        self, net: PlainILNet, memories: dict[str, Tensor], mode: Mode = "il", draws: Draws | None = None
    ) -> None:
        self.net, self.memories, self.mode = net, memories, mode
        self.draws = draws or Draws()
        self.embeddings: dict[str, Tensor] = {}

    def loss(self, batches: Batches) -> Tensor:
        """Mean over domains of the cross entropy against their memories, with the graphs of all of them."""
        losses = []
        for name, (images, labels) in batches.items():
            embeddings = self.net.embeddings(images)
            losses.append(F.cross_entropy(embeddings @ self.memories[name].t() / TEMPERATURE, labels))
            self.embeddings[name] = embeddings.detach()
        return torch.stack(losses).mean()

    @torch.no_grad()
    def update_memories(self, batches: Batches) -> None:
        """One image after the other; the mixed forward's are in the order it was given."""
        if self.mode == "fb":
            for name, (_, labels) in batches.items():
                follow(self.memories[name], self.embeddings[name], labels)
            return
        images = torch.cat([images for images, _ in batches.values()])
        labels = torch.cat([labels for _, labels in batches.values()])
        owners = torch.cat([torch.full_like(one, position) for position, (_, one) in enumerate(batches.values())])
        order = self.draws.order(len(images)).to(images.device)
        labels, owners = labels[order], owners[order]
        embeddings = self.net.embeddings(images[order], self.draws if self.mode == "il" else None)
        for position, name in enumerate(batches):
            follow(self.memories[name], embeddings[owners == position], labels[owners == position])
