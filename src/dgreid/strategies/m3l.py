"""M3L: memory-based multi-source meta-learning (Zhao et al., CVPR 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from dgreid.distributed import mean_of_each
from dgreid.draws import SeededDraws
from dgreid.errors import InputError, check_one_of
from dgreid.gradients import with_gradients
from dgreid.hypergradient import Method, Parameters, Problem, by_graph, by_products, first_order
from dgreid.losses import batch_hard_triplet
from dgreid.meta import InnerStep, MetaBNScale, Statistics, batch_statistics, metabn
from dgreid.nets.second_order import prepare_for_second_order
from dgreid.strategies.chunked_forward import chunked_features
from dgreid.strategies.m3l_requirements import check_net, check_sources, neck_name
from dgreid.strategies.memory_based import MemoryStrategy
from dgreid.strategies.statistics_chunks import parts_of
from dgreid.types import Clock, DomainInfo, Features, ReIDBatch, StepResult

SECOND_ORDER: dict[str, Method] = {"graph": by_graph, "hvp": by_products}


class M3L(MemoryStrategy):
    """Memory-based multi-source meta-learning for any number of sources from two.

    Each step one domain, drawn uniformly, plays the unseen one (meta-test); the others are meta-train. With the memory
    loss of a domain's embeddings and the batch-hard triplet loss of its pooled features,

        L_train(theta)  = mean over meta-train domains of memory + triplet
        theta'          = theta - a fresh Adam's first step along dL_train (:class:`~dgreid.meta.InnerStep`)
        L_test(theta')  = mean over MetaBN's outputs of memory, + triplet, on the meta-test domain

    and the step descends the gradient of L_train(theta) + L_test(theta'(theta)), to second order; MetaBN's statistics
    count as constants, as in the release. After it, every domain passes the net once more under the new weights, in
    training mode without gradient, and its memory takes up these embeddings.

    Training forwards a step: one for each meta-train domain, the meta-test domain's (under theta', which by default
    moves no running statistics), then one for each domain. So with three sources batch normalisation moves its running
    statistics 5 times a step; the forwards that ``hvp`` repeats move none.

    Of several processes each passes its part of every domain's batch; the meta-test domain and MetaBN's weight are
    equal on all.

    The defaults are the paper's mathematics. The authors' release deviates in three options of this class, and in
    two of the net (``stem_relu``, ``load_bn_statistics``).

    Args:
        temperature: divides the scores.
        momentum: weight of a memory's old row in its update.
        margin: of the triplet loss.
        outer_gradient: ``full``, the derivative of the objective above. ``second_order_only`` is what the release
            computes: theta' is built on copies of theta, so L_test reaches theta through dL_train alone, and the
            identity path, (1 - learning rate * weight decay * slope) dL_test/dtheta', is lost.
        metabn_scale: spread of MetaBN's draws: ``std``, or ``variance``, which the release passes in its place.
        meta_test_updates_bn: ``true`` lets the forward under theta' move the running statistics of all layers before
            the neck, and the neck's batch count, as in the release, whose copies share them.
        order: ``second``, or ``first``: theta' = theta - constant, so the gradient is
            dL_train(theta) + dL_test(theta').
        hypergradient: ``graph`` differentiates one large graph; ``hvp`` takes the same gradient from first-order
            passes and Hessian-vector products, one domain's graph in memory at a time: less memory, more time. Of no
            effect with ``order=first``, which always works so.
        inner_learning_rate: ``outer``, the optimizer's of this step, or a number.
        inner_weight_decay: L2 decay in the inner step; the release uses the optimizer's.
        inner_gradient: of several processes: ``mean`` takes one inner step along the mean of their gradients;
            ``local`` a step for each process along its own, and averages what comes of them, which sends less.
        statistics_chunks: batch statistics are those of so many equal parts of each forward, MetaBN's too, and triplets
            are of one part; running statistics follow the first.
        draws: gives ``choice(count, clock, "meta_test_domain")``, ``number(clock, "metabn_weight")`` and, for the
            k-th meta-train domain, ``normal(rows, width, clock, "metabn/<k>")``; by default functions of (seed, step).

    Raises:
        InputError: for a value outside its range, or ``order=first`` with ``second_order_only``.
    """

    computes_gradients = True
    takes_inner_steps = True

    def __init__(
        self,
        temperature: float = 0.05,
        momentum: float = 0.2,
        margin: float = 0.3,
        outer_gradient: Literal["full", "second_order_only"] = "full",
        metabn_scale: MetaBNScale = "std",
        meta_test_updates_bn: bool = False,
        order: Literal["second", "first"] = "second",
        hypergradient: Literal["graph", "hvp"] = "graph",
        inner_learning_rate: Literal["outer"] | float = "outer",
        inner_weight_decay: float = 5e-4,
        inner_gradient: Literal["mean", "local"] = "mean",
        statistics_chunks: int = 1,
        draws: SeededDraws | None = None,
    ) -> None:
        super().__init__(temperature, momentum)
        check_one_of("outer_gradient", outer_gradient, ("full", "second_order_only"))
        check_one_of("metabn_scale", metabn_scale, ("std", "variance"))
        check_one_of("order", order, ("second", "first"))
        check_one_of("hypergradient", hypergradient, SECOND_ORDER)
        check_one_of("inner_gradient", inner_gradient, ("mean", "local"))
        if not isinstance(meta_test_updates_bn, bool):
            raise InputError(f"meta_test_updates_bn={meta_test_updates_bn}: true or false.")
        if not (_is_number(margin) and margin >= 0):
            raise InputError(f"margin={margin}: a number, not negative; M3L uses 0.3.")
        if order == "first" and outer_gradient == "second_order_only":
            raise InputError(
                "order=first with outer_gradient=second_order_only leaves nothing of the meta-test loss: "
                "take outer_gradient=full, or order=second."
            )
        if inner_learning_rate != "outer" and not (_is_number(inner_learning_rate) and float(inner_learning_rate) > 0):
            raise InputError(f"inner_learning_rate={inner_learning_rate}: 'outer', or a number above 0.")
        if not (_is_number(inner_weight_decay) and inner_weight_decay >= 0):
            raise InputError(f"inner_weight_decay={inner_weight_decay}: a number, not negative.")
        self.margin = margin
        self.identity_path = outer_gradient == "full"
        self.metabn_scale: MetaBNScale = metabn_scale
        self.meta_test_updates_bn = meta_test_updates_bn
        self.second_order = order == "second"
        self.method = SECOND_ORDER[hypergradient] if self.second_order else first_order
        self.inner_learning_rate = inner_learning_rate
        self.inner_weight_decay = inner_weight_decay
        self.average = mean_of_each if inner_gradient == "mean" else list
        self.parts = parts_of(statistics_chunks)
        self.draws = draws or SeededDraws()

    def setup(self, net: nn.Module, domains: Sequence[DomainInfo]) -> None:
        """Makes the banks; gives the net's layers fast second derivatives.

        Raises:
            InputError: fewer than two sources, one of a single identity, or a net that cannot be run under other
                weights or has no batch-normalisation neck.
        """
        check_sources(domains)
        check_net(net)
        super().setup(net, domains)
        if self.second_order:
            prepare_for_second_order(net)

    def distribute(self, processes: int, shared: bool) -> None:
        """As the base class.

        Raises:
            InputError: processes would normalise together under different weights.
        """
        if processes > 1 and shared and self.average is not mean_of_each:
            raise InputError(
                f"strategy.inner_gradient=local with batch_statistics=global on {processes} processes: each would have "
                "inner weights of its own, and statistics over all of them mean nothing; take inner_gradient=mean, or "
                "batch_statistics=local"
            )
        super().distribute(processes, shared)

    def loss(self, net: nn.Module, batches: Mapping[str, ReIDBatch], clock: Clock) -> StepResult:
        """L_train + L_test of one step, with the gradient by this strategy's method already computed."""
        if len(batches) < 2:
            raise InputError(f"a step of M3L needs the batches of two domains or more, got those of {list(batches)}.")
        meta_test = self.meta_test_domain(list(batches), clock)
        meta_train = [name for name in batches if name != meta_test]
        step = _Step(self, net, batches, clock, meta_train, meta_test)
        parameters: Parameters = {name: value for name, value in net.named_parameters() if value.requires_grad}
        losses = [partial(step.meta_train_loss, position) for position in range(len(meta_train))]
        found = self.method(
            Problem(parameters, losses, step.meta_test_loss, self.inner_step(clock), self.identity_path, self.average)
        )
        leaves = [parameters[name] for name in found.gradient]
        return StepResult(
            loss=with_gradients(found.meta_train + found.meta_test, leaves, list(found.gradient.values())),
            scalars={
                "loss/meta_train": found.meta_train,
                "loss/meta_test": found.meta_test,
                **step.scalars,
                **found.scalars(),
            },
            embeddings={},
        )

    def after_step(self, net: nn.Module, batches: Mapping[str, ReIDBatch], result: StepResult, clock: Clock) -> None:
        """One forward of each domain under the new weights, meta-test included, into its memory."""
        for name, batch in batches.items():
            self.update_bank(name, chunked_features(net, batch.images, self.parts).embedding, batch.identities)

    def remarks(self) -> Sequence[str]:
        """What the release's outer gradient leaves out."""
        if self.identity_path:
            return ()
        return (
            "strategy.outer_gradient=second_order_only: as in the M3L release, the meta-test loss reaches the weights "
            "through the curvature of the meta-train loss alone; its own gradient is left out. The paper's objective "
            "is outer_gradient=full.",
        )

    def savings(self) -> Sequence[str]:
        """The other ways to the same gradient, and the first-order method."""
        if not self.second_order:
            return ()
        sentences = []
        if self.method is by_graph:
            sentences.append(
                "strategy.hypergradient=hvp: the same gradient, one domain's graph in memory at a time; slower"
            )
        if self.method is by_products:
            sentences.append("strategy.hypergradient=graph: the same gradient, faster; more memory")
        if self.identity_path:
            sentences.append("strategy.order=first: no second derivatives, so less of both; another method, though")
        return sentences

    def meta_test_domain(self, names: Sequence[str], clock: Clock) -> str:
        """Which of the domains of this step plays the unseen one; equal on every rank."""
        return names[self.draws.choice(len(names), clock, "meta_test_domain")]

    def inner_step(self, clock: Clock) -> InnerStep:
        """The inner update of a step."""
        rate = clock.learning_rate if self.inner_learning_rate == "outer" else float(self.inner_learning_rate)
        return InnerStep(rate, self.inner_weight_decay)


class _Step:
    """The losses of one step as functions of the net's parameters, and what they were made of."""

    def __init__(
        self,
        strategy: M3L,
        net: nn.Module,
        batches: Mapping[str, ReIDBatch],
        clock: Clock,
        meta_train: Sequence[str],
        meta_test: str,
    ) -> None:
        self.strategy, self.net, self.batches, self.clock = strategy, net, batches, clock
        self.meta_train, self.meta_test = meta_train, meta_test
        self.neck = neck_name(net)
        self.seed = torch.initial_seed()
        self.statistics: list[list[Statistics]] = []  # of each meta-train domain, of each part
        self.scalars: dict[str, Tensor] = {}

    def meta_train_loss(self, position: int, parameters: Parameters, again: bool = False) -> Tensor:
        """Memory and triplet loss of a meta-train domain; keeps its statistics for MetaBN."""
        # A net with dropout must drop the same units when a domain passes again.
        torch.manual_seed((self.seed + position) % 2**63)
        name = self.meta_train[position]
        batch = self.batches[name]
        buffers = self._copied_buffers() if again else {}
        features = self._features(batch, {**parameters, **buffers})
        memory = self._memory_loss(name, features.embedding)
        triplet = self._triplet_loss(features, batch)
        if not again:
            self.statistics.append(
                [batch_statistics(part) for part in self.strategy.parts.of(features.pooled.detach())]
            )
            self.scalars |= {f"memory/{name}": memory.detach(), f"triplet/{name}": triplet.detach()}
        return memory + triplet

    def meta_test_loss(self, parameters: Parameters) -> Tensor:
        """Memory loss, mean over MetaBN's outputs, and triplet loss of the meta-test domain."""
        batch = self.batches[self.meta_test]
        statistics = [f"{self.neck}.{name}" for name in ("running_mean", "running_var")]
        buffers = self._copied_buffers(statistics if self.strategy.meta_test_updates_bn else None)
        features = self._features(batch, {**parameters, **buffers})
        outputs = self._metabn(features.pooled, parameters)
        embeddings = [features._replace(neck=output).embedding for output in outputs]
        losses = [self._memory_loss(self.meta_test, one) for one in embeddings]
        memory = torch.stack(losses).mean()
        triplet = self._triplet_loss(features, batch)
        self.scalars |= {"memory/meta_test": memory.detach(), "triplet/meta_test": triplet.detach()}
        return memory + triplet

    def _features(self, batch: ReIDBatch, replaced: Parameters) -> Features:
        return chunked_features(self.net, batch.images, self.strategy.parts, replaced=replaced)

    def _triplet_loss(self, features: Features, batch: ReIDBatch) -> Tensor:
        return batch_hard_triplet(features.pooled, batch.identities, self.strategy.margin, self.strategy.parts)

    def _memory_loss(self, name: str, embeddings: Tensor) -> Tensor:
        bank = self.strategy.bank(name)
        return bank.loss(embeddings, self.batches[name].identities, self.strategy.temperature)

    def _metabn(self, pooled: Tensor, parameters: Parameters) -> list[Tensor]:
        """MetaBN's outputs of all rows, for each meta-train domain; parts of the batch meet their own statistics."""
        neck, draws, parts = self.net.get_submodule(self.neck), self.strategy.draws, self.strategy.parts
        assert isinstance(neck, nn.BatchNorm1d)
        normals = [
            draws.normal(len(pooled), pooled.shape[1], self.clock, f"metabn/{k}").to(pooled)
            for k in range(len(self.statistics))
        ]
        affine = (parameters.get(f"{self.neck}.weight", neck.weight), parameters.get(f"{self.neck}.bias", neck.bias))
        weight, scale = draws.number(self.clock, "metabn_weight"), self.strategy.metabn_scale
        outputs = []
        for position, part in enumerate(pooled.chunk(parts.chunks)):
            statistics = [of_domain[position] for of_domain in self.statistics]
            own = [table.chunk(parts.chunks)[position] for table in normals]
            outputs.append(metabn(part, statistics, own, weight, scale, affine, neck.eps, parts.shared))
        return [torch.cat(of_domain) for of_domain in zip(*outputs, strict=True)]

    def _copied_buffers(self, names: Sequence[str] | None = None) -> Parameters:
        """Copies for a forward to move in place of the net's own; all by default."""
        buffers = dict(self.net.named_buffers())
        return {name: buffers[name].clone() for name in (buffers if names is None else names)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
