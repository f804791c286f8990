"""FBF: forward, backward, forward (the second baseline of IL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from dgreid.distributed import gather_rows, rows_of_this_rank
from dgreid.draws import SeededDraws, StepDraws, all_rows
from dgreid.errors import InputError
from dgreid.strategies.chunked_forward import chunked_features
from dgreid.strategies.fb import FB
from dgreid.style import Style, check_layers
from dgreid.types import Clock, DomainInfo, ReIDBatch, StepResult


def domain_of_rows(batches: Mapping[str, ReIDBatch]) -> Tensor:
    """(sum of global batch sizes,) int64 on the CPU: the domain's position, of each row of all domains' batches."""
    sizes = torch.tensor([all_rows(len(batch.identities)) for batch in batches.values()])
    return torch.arange(len(sizes)).repeat_interleave(sizes)


class FBF(FB):
    """Memory-based training whose memories follow a second forward, under the new weights (Tan et al., TMM 2023).

    The loss is that of FB. After the step all domains' images, concatenated and shuffled, go through the net in ONE
    forward in training mode without gradient; then each memory takes up its domain's embeddings in shuffled order. The
    order counts where identities repeat: the last image of an identity weighs 0.8 before normalisation. Of several
    processes each passes its part of the shuffled images of all of them.

    Training forwards a step: one for each domain before the step, then the mixed one after it. So with three sources
    batch normalisation moves its running statistics 4 times a step, the last time by the mixed batch.

    Args:
        temperature: divides the scores.
        momentum: weight of a memory's old row in its update.
        loss_style: what happens to styles in the forwards of the losses; None: nothing.
        memory_style: what happens to styles in the mixed forward; None: nothing.
        statistics_chunks: parts of each forward, in shuffled order for the mixed one; see :class:`FB`.
        domain_graphs: see :class:`FB`.
        draws: gives ``permutation(count, clock, name)``, asked once a step under the name ``memory_order`` for the
            order of the concatenated images; by default a function of (seed, step, name).

    Raises:
        InputError: for a value outside its range.
    """

    def __init__(
        self,
        temperature: float = 0.05,
        momentum: float = 0.2,
        loss_style: Style | None = None,
        memory_style: Style | None = None,
        statistics_chunks: int = 1,
        domain_graphs: Literal["separate", "joint"] = "separate",
        draws: SeededDraws | None = None,
    ) -> None:
        super().__init__(temperature, momentum, loss_style, statistics_chunks, domain_graphs, draws)
        if memory_style is not None and memory_style.needs_domains and statistics_chunks > 1:
            raise InputError(
                f"memory_style={type(memory_style).__name__} pairs images of different domains, and a part of the "
                f"shuffled ones may have one domain only: take statistics_chunks=1 instead of {statistics_chunks}."
            )
        self.memory_style = memory_style

    def setup(self, net: nn.Module, domains: Sequence[DomainInfo]) -> None:
        """Makes the banks.

        Raises:
            InputError: the net does not have a layer of a style, or a style pairs domains and there is one.
        """
        super().setup(net, domains)
        if self.memory_style is None:
            return
        check_layers(net, self.memory_style)
        if self.memory_style.needs_domains and len(domains) < 2:
            raise InputError(
                f"memory_style={type(self.memory_style).__name__} pairs images of different domains, but the only "
                f"source is {domains[0].name}: name two sources or more, or take another style."
            )

    def distribute(self, processes: int, shared: bool) -> None:
        """As the base class.

        Raises:
            InputError: the style of the mixed forward pairs domains, and a process may see one alone.
        """
        if processes > 1 and not shared and self.memory_style is not None and self.memory_style.needs_domains:
            raise InputError(
                f"memory_style={type(self.memory_style).__name__} pairs images of different domains, and with "
                f"batch_statistics=local the part of one of {processes} processes may have one domain only: take "
                "batch_statistics=global"
            )
        super().distribute(processes, shared)

    @torch.no_grad()
    def after_step(self, net: nn.Module, batches: Mapping[str, ReIDBatch], result: StepResult, clock: Clock) -> None:
        """The mixed forward, then each domain's memory in shuffled order."""
        images = torch.cat([gather_rows(batch.images) for batch in batches.values()])
        identities = torch.cat([gather_rows(batch.identities) for batch in batches.values()])
        order = self.draws.permutation(len(images), clock, "memory_order").to(images.device)
        owners = domain_of_rows(batches).to(images.device)[order]
        mine = rows_of_this_rank(order)
        draws = StepDraws(self.draws, clock, "memory_style", self.parts)
        features = chunked_features(net, images[mine], self.parts, self.memory_style, draws, rows_of_this_rank(owners))
        embeddings, identities = gather_rows(features.embedding), identities[order]
        for position, name in enumerate(batches):
            rows = (owners == position).nonzero().flatten()
            self.bank(name).update(embeddings[rows], identities[rows], self.momentum)
