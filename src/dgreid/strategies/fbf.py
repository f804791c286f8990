"""FBF: forward, backward, forward (the second baseline of IL)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dgreid.draws import SeededDraws
from dgreid.strategies.memory_based import MemoryStrategy
from dgreid.types import Clock, ReIDBatch, StepResult


def rows_by_domain(batches: Mapping[str, ReIDBatch], order: Tensor) -> dict[str, Tensor]:
    """Where each domain's images went when the concatenated batches were shuffled.

    Args:
        batches: of the domains, in the order in which they were concatenated.
        order: (sum of batch sizes,) int64; row i of the shuffled images is row ``order[i]`` of the concatenated ones.

    Returns:
        per domain, its rows in the shuffled images, ascending.
    """
    sizes = torch.tensor([len(batch.identities) for batch in batches.values()])
    owner = torch.arange(len(sizes)).repeat_interleave(sizes)[order]
    return {name: (owner == position).nonzero().flatten() for position, name in enumerate(batches)}


class FBF(MemoryStrategy):
    """Memory-based training whose memories follow a second forward, under the new weights (Tan et al., TMM 2023).

    After the step all domains' images, concatenated and shuffled, go through the net in ONE forward in training mode
    without gradient; then each memory takes up its domain's embeddings in shuffled order. The order counts where
    identities repeat: the last image of an identity weighs 0.8 before normalisation.

    Training forwards a step: one for each domain before the step, then the mixed one after it. So with three sources
    batch normalisation moves its running statistics 4 times a step, the last time by the mixed batch.

    Args:
        temperature: divides the scores.
        momentum: weight of a memory's old row in its update.
        draws: gives ``permutation(count, clock, name)``, asked once a step under the name ``memory_order`` for the
            order of the concatenated images; by default a function of (seed, step, name).
    """

    def __init__(self, temperature: float = 0.05, momentum: float = 0.2, draws: SeededDraws | None = None) -> None:
        super().__init__(temperature, momentum)
        self.draws = draws or SeededDraws()

    def memory_embeddings(self, net: nn.Module, images: Tensor, clock: Clock) -> Tensor:
        """Embeddings of the mixed forward.

        Args:
            net: with its new weights, in training mode.
            images: (rows, 3, H, W) of all domains, shuffled.
            clock: where training stands, for methods that draw here.
        """
        embeddings: Tensor = net(images).embedding
        return embeddings

    @torch.no_grad()
    def after_step(self, net: nn.Module, batches: Mapping[str, ReIDBatch], result: StepResult, clock: Clock) -> None:
        """The mixed forward, then each domain's memory in shuffled order."""
        images = torch.cat([batch.images for batch in batches.values()])
        identities = torch.cat([batch.identities for batch in batches.values()])
        order = self.draws.permutation(len(images), clock, "memory_order")
        rows = rows_by_domain(batches, order)
        shuffled = order.to(images.device)
        identities = identities[shuffled]
        embeddings = self.memory_embeddings(net, images[shuffled], clock)
        for name, positions in rows.items():
            chosen = positions.to(images.device)
            self.update_bank(name, embeddings[chosen], identities[chosen])
