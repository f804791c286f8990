"""FB: forward, backward (the first baseline of IL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from dgreid.draws import SeededDraws, StepDraws
from dgreid.errors import InputError, check_one_of
from dgreid.gradients import SummedGradients
from dgreid.strategies.chunked_forward import chunked_features
from dgreid.strategies.memory_based import MemoryStrategy
from dgreid.strategies.statistics_chunks import parts_of
from dgreid.style import Style, check_layers
from dgreid.types import Clock, DomainInfo, ReIDBatch, StepResult


class FB(MemoryStrategy):
    """Memory-based training whose memories follow the embeddings of the step's own forward (Tan et al., TMM 2023).

    The loss is the mean over domains of the memory's cross entropy, each domain in a forward of its own. After the step
    each memory takes up the embeddings that the loss was computed from: of the weights before the step, under the
    domain's own batch statistics, in the batch's order.

    Training forwards a step: one for each domain, before the step. So with three sources batch normalisation moves its
    running statistics 3 times a step, each time by one domain.

    Args:
        temperature: divides the scores.
        momentum: weight of a memory's old row in its update.
        loss_style: what happens to the styles of a domain's images in the forward of its loss; None: nothing.
        statistics_chunks: batch statistics are those of so many equal parts of each forward, running statistics follow
            the first part: what the IL release computes on so many GPUs.
        domain_graphs: ``separate`` takes the gradient of a domain's loss before the next domain's forward, so that one
            graph is in memory at a time; ``joint`` leaves one graph of all domains to the trainer. The same gradient
            but for rounding; loss scaling (``16-mixed``) needs ``joint``.
        draws: random choices of a step, by default functions of (seed, step, name).

    Raises:
        InputError: for a value outside its range.
    """

    def __init__(
        self,
        temperature: float = 0.05,
        momentum: float = 0.2,
        loss_style: Style | None = None,
        statistics_chunks: int = 1,
        domain_graphs: Literal["separate", "joint"] = "separate",
        draws: SeededDraws | None = None,
    ) -> None:
        super().__init__(temperature, momentum)
        check_one_of("domain_graphs", domain_graphs, ("separate", "joint"))
        if loss_style is not None and loss_style.needs_domains:
            raise InputError(
                f"loss_style={type(loss_style).__name__} pairs images of different domains, but the loss forward sees "
                "one domain at a time: use it as memory_style, or take partner=random."
            )
        self.loss_style = loss_style
        self.parts = parts_of(statistics_chunks)
        self.computes_gradients = domain_graphs == "separate"
        self.draws = draws or SeededDraws()

    def setup(self, net: nn.Module, domains: Sequence[DomainInfo]) -> None:
        """Makes the banks.

        Raises:
            InputError: the net does not have a layer of the style.
        """
        super().setup(net, domains)
        if self.loss_style is not None:
            check_layers(net, self.loss_style)

    def loss(self, net: nn.Module, batches: Mapping[str, ReIDBatch], clock: Clock) -> StepResult:
        """Mean over domains of their memory losses; one training forward for each domain, in the batches' order."""
        embeddings: dict[str, Tensor] = {}
        losses: dict[str, Tensor] = {}
        gradients = SummedGradients(self.parameter_groups(net))
        for name, batch in batches.items():
            draws = StepDraws(self.draws, clock, f"loss_style/{name}", self.parts)
            features = chunked_features(net, batch.images, self.parts, self.loss_style, draws)
            losses[name] = self.bank(name).loss(features.embedding, batch.identities, self.temperature)
            embeddings[name] = features.embedding.detach()
            if self.computes_gradients:
                losses[name] = gradients.take(losses[name], 1 / len(batches))
        mean = torch.stack(list(losses.values())).mean()
        return StepResult(
            loss=gradients.deposited(mean) if self.computes_gradients else mean,
            scalars={f"loss/{name}": value.detach() for name, value in losses.items()},
            embeddings=embeddings,
        )

    def after_step(self, net: nn.Module, batches: Mapping[str, ReIDBatch], result: StepResult, clock: Clock) -> None:
        """Moves each domain's memory; no forward."""
        for name, batch in batches.items():
            self.update_bank(name, result.embeddings[name], batch.identities)

    def savings(self) -> Sequence[str]:
        """Separate graphs, if they are joint."""
        if self.computes_gradients:
            return ()
        return ("strategy.domain_graphs=separate: the same gradient, one domain's graph in memory at a time",)
