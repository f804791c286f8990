"""What bench_train.py measures: a problem, and each method's way to train on it."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from plain_il import Mode, PlainIL, PlainILNet
from plain_m3l import PlainM3L, PlainNet
from torch import Tensor

from dgreid.nets.reid import NeckBias
from dgreid.nets.resnet import resnet50
from dgreid.strategies.base import TrainingStrategy
from dgreid.strategies.fb import FB
from dgreid.strategies.fbf import FBF
from dgreid.strategies.il import IL
from dgreid.strategies.m3l import M3L
from dgreid.types import Clock, DomainInfo, ReIDBatch, StepResult

DOMAINS = [DomainInfo(name, 1000, 10000, 6, "") for name in ("first", "second", "third")]
IMAGES_OF_PERSON = 4
LEARNING_RATE, WEIGHT_DECAY = 3.5e-4, 5e-4


class Problem:
    """Random images, labels and memories, and how to compute.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device(arguments.device)
        self.mixed = arguments.precision == "bf16-mixed"
        generator = torch.Generator().manual_seed(0)
        people = -(-arguments.images // IMAGES_OF_PERSON)
        self.batches: dict[str, ReIDBatch] = {}
        self.memories: dict[str, Tensor] = {}
        for domain in DOMAINS:
            images = torch.randn(arguments.images, 3, arguments.height, arguments.width, generator=generator)
            labels = torch.randperm(domain.identities, generator=generator)[:people]
            labels = labels.repeat_interleave(IMAGES_OF_PERSON)[: arguments.images]
            nothing = torch.zeros_like(labels)
            self.batches[domain.name] = ReIDBatch(*(one.to(self.device) for one in (images, labels, nothing, nothing)))
            rows = torch.randn(domain.identities, 2048, generator=generator)
            self.memories[domain.name] = F.normalize(rows, dim=1).to(self.device)

    def precision(self) -> torch.autocast:
        """The context of everything but backward and the optimizer's step."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed)


class Training(ABC):
    """A net that is trained, one step after another."""

    optimizer: torch.optim.Optimizer

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @abstractmethod
    def loss(self, number: int) -> Tensor:
        """The loss of a step, whose backward gives the gradient."""

    @abstractmethod
    def after_step(self, number: int) -> None:
        """What follows the update."""

    def step(self, number: int) -> float:
        """One step, as Lightning takes it; its loss."""
        with self.problem.precision():
            loss = self.loss(number)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad(), self.problem.precision():
            self.after_step(number)
        return float(loss.detach())


class PlainTraining(Training):
    """A release's procedure, with its optimizer of one group for each tensor.

    Args:
        problem: what it is trained on.
        net: as constructed.
    """

    def __init__(self, problem: Problem, net: PlainNet) -> None:
        super().__init__(problem)
        torch.backends.cudnn.benchmark = True
        self.net = net.to(problem.device).train()
        self.batches = {name: (batch.images, batch.identities) for name, batch in problem.batches.items()}
        groups = [{"params": [weight]} for weight in net.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.Adam(groups, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)


class PlainM3LTraining(PlainTraining):
    """M3L's."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, PlainNet())
        self.method = PlainM3L(self.net, problem.memories)

    def loss(self, number: int) -> Tensor:
        """The whole graph's."""
        return self.method.loss(self.batches, LEARNING_RATE)

    def after_step(self, number: int) -> None:
        """The memories."""
        self.method.update_memories(self.batches)


class PlainILTraining(PlainTraining):
    """IL's, and its baselines'."""

    def __init__(self, problem: Problem, mode: Mode) -> None:
        net = PlainILNet()
        super().__init__(problem, net)
        self.method = PlainIL(net, problem.memories, mode)

    def loss(self, number: int) -> Tensor:
        """Of all domains, with all their graphs."""
        return self.method.loss(self.batches)

    def after_step(self, number: int) -> None:
        """The memories."""
        self.method.update_memories(self.batches)


class StrategyTraining(Training):
    """A strategy of ours, its net built as a run builds it.

    Args:
        strategy: not set up yet.
        problem: what it is trained on.
    """

    def __init__(self, strategy: TrainingStrategy, problem: Problem) -> None:
        super().__init__(problem)
        self.strategy = strategy
        neck_bias: NeckBias = "trainable" if isinstance(strategy, M3L) else "frozen"
        net = resnet50(weights="random", stem_relu=False, neck_bias=neck_bias)
        self.net = net.to(problem.device, memory_format=torch.channels_last).train()
        strategy.setup(self.net, DOMAINS)
        strategy.fill(problem.memories)
        parameters = list(strategy.parameter_groups(self.net))
        self.optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.result: StepResult | None = None

    def loss(self, number: int) -> Tensor:
        """The strategy's."""
        self.result = self.strategy.loss(self.net, self.problem.batches, self.clock(number))
        return self.result.loss

    def after_step(self, number: int) -> None:
        """The strategy's part after the update."""
        result, self.result = self.result, None
        assert result is not None
        self.strategy.after_step(self.net, self.problem.batches, result, self.clock(number))

    def clock(self, number: int) -> Clock:
        """Of a step."""
        return Clock(step=number, epoch=0, learning_rate=LEARNING_RATE, seed=0)


def m3l(**options: Any) -> M3L:
    return M3L(metabn_scale="variance", meta_test_updates_bn=True, **options)


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        title: for readers.
        plain: the row that does the same as the release does it.
        training: what is measured.
    """

    title: str
    plain: str
    training: Callable[[Problem], Training]


ROWS = {
    "plain_m3l": Row("M3L, plain procedure", "plain_m3l", PlainM3LTraining),
    "graph": Row(
        "M3L, hypergradient=graph",
        "plain_m3l",
        lambda problem: StrategyTraining(m3l(outer_gradient="second_order_only"), problem),
    ),
    "hvp": Row(
        "M3L, hypergradient=hvp",
        "plain_m3l",
        lambda problem: StrategyTraining(m3l(outer_gradient="second_order_only", hypergradient="hvp"), problem),
    ),
    "first_order": Row("M3L, order=first", "plain_m3l", lambda problem: StrategyTraining(m3l(order="first"), problem)),
    "plain_fb": Row("FB, plain procedure", "plain_fb", lambda problem: PlainILTraining(problem, "fb")),
    "fb": Row("FB", "plain_fb", lambda problem: StrategyTraining(FB(), problem)),
    "plain_fbf": Row("FBF, plain procedure", "plain_fbf", lambda problem: PlainILTraining(problem, "fbf")),
    "fbf": Row("FBF", "plain_fbf", lambda problem: StrategyTraining(FBF(), problem)),
    "plain_il": Row("IL, plain procedure", "plain_il", lambda problem: PlainILTraining(problem, "il")),
    "il": Row("IL", "plain_il", lambda problem: StrategyTraining(IL(), problem)),
}
