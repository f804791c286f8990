"""FB: forward, backward (the first baseline of IL)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from dgreid.strategies.memory_based import MemoryStrategy
from dgreid.types import Clock, ReIDBatch, StepResult


class FB(MemoryStrategy):
    """Memory-based training whose memories follow the embeddings of the step's own forward (Tan et al., TMM 2023).

    After the step each memory takes up the embeddings that the loss was computed from: of the weights before the step,
    under the domain's own batch statistics, in the batch's order.

    Training forwards a step: one for each domain, before the step. So with three sources batch normalisation moves its
    running statistics 3 times a step, each time by one domain.
    """

    def after_step(self, net: nn.Module, batches: Mapping[str, ReIDBatch], result: StepResult, clock: Clock) -> None:
        """Moves each domain's memory; no forward."""
        for name, batch in batches.items():
            self.update_bank(name, result.embeddings[name], batch.identities)
