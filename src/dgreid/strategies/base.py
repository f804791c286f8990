"""The extension point: what one training step computes, and what it does once the weights have moved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from dgreid.batch_parts import WHOLE, BatchParts
from dgreid.errors import InputError
from dgreid.types import Clock, DomainInfo, ReIDBatch, StepResult


class EmbeddingNet(nn.Module):
    """A net seen from retrieval: images to unit embeddings.

    Args:
        net: module from images to :class:`~dgreid.types.Features`.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images to (B, D) embeddings of unit length."""
        embedding: Tensor = self.net(images).embedding
        return embedding


class TrainingStrategy(nn.Module, ABC):
    """A training method.

    Owns all that the method needs besides the net (memory banks, classifiers, averaged weights) as parameters,
    buffers or submodules, so that device moves, checkpoints and resuming need no code. It never touches optimizer,
    trainer or process group. Torch's generators are seeded from (seed, step, rank) before ``loss`` and
    ``after_step``, so a strategy may draw random numbers and still resume exactly.

    Attributes:
        computes_gradients: whether ``loss`` computes gradients itself; loss scaling is then refused.
        takes_inner_steps: whether ``loss`` moves copies of the weights; 16-bit weights are then refused.
        parts: whose statistics are taken together, over the rows of a batch and over processes. What a strategy takes
            from a batch as a whole, it takes from each of ``parts.of(rows)``; batch normalisation has it already.
    """

    computes_gradients = False
    takes_inner_steps = False
    parts: BatchParts = WHOLE

    def setup(self, net: nn.Module, domains: Sequence[DomainInfo]) -> None:
        """Creates banks and heads; called once, before the optimizer exists. May replace layers of the net.

        Args:
            net: the net with its initial weights.
            domains: the source domains, in the order in which batches list them.
        """

    def distribute(self, processes: int, shared: bool) -> None:
        """Says how batch statistics are taken; called once, before the first step.

        Args:
            processes: among which each batch is divided.
            shared: whether the rows of all processes count together; else those of each by themselves.

        Raises:
            InputError: the method cannot be divided so.
        """
        shared = shared and processes > 1
        if shared and self.parts.chunks > 1:
            raise InputError(
                f"strategy.statistics_chunks={self.parts.chunks} with batch_statistics=global on {processes} "
                "processes: parts of a batch and all processes together exclude each other; take "
                "batch_statistics=local, where each process's rows are parts of their own"
            )
        self.parts = self.parts._replace(shared=shared)

    def parameter_groups(self, net: nn.Module) -> Iterator[nn.Parameter]:
        """What the optimizer moves: by default all of net and strategy that requires a gradient."""
        for module in (net, self):
            yield from (parameter for parameter in module.parameters() if parameter.requires_grad)

    def fill(self, centroids: Mapping[str, Tensor]) -> None:
        """Receives class centroids before the first step; they are computed only if this is overridden.

        Args:
            centroids: per domain (identities, D), mean unit embedding of each identity under the initial net in
                evaluation mode, at unit length.
        """

    @abstractmethod
    def loss(self, net: nn.Module, batches: Mapping[str, ReIDBatch], clock: Clock) -> StepResult:
        """The loss of one step.

        Args:
            net: the net, in training mode.
            batches: the domains that take part in this step, at least one.
            clock: where training stands.
        """

    def after_step(self, net: nn.Module, batches: Mapping[str, ReIDBatch], result: StepResult, clock: Clock) -> None:
        """Called after the optimizer's step, without gradient, net in training mode.

        Args:
            net: the net with its new weights.
            batches: the batches of this step.
            result: what ``loss`` returned for them.
            clock: the clock that ``loss`` got.
        """

    def inference_net(self, net: nn.Module) -> nn.Module:
        """A module from images to unit embeddings of any width: all that evaluation uses."""
        return EmbeddingNet(net)

    def savings(self) -> Sequence[str]:
        """Options of the method that would lower memory or time, for ``plan=true``; by default there are none.

        Each is a sentence ``strategy.option=value: what it does``, and applies to the method as it is set now.
        """
        return ()

    def remarks(self) -> Sequence[str]:
        """Sentences that a run says once when it starts: what the options, as they are set, leave out."""
        return ()
