"""Steps as the trainer takes them, with nothing between a test and the strategy; on one process or several."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from dgreid.distributed import follow_first_rank, mean_of_each, rank_and_world_size
from dgreid.module import BatchStatistics
from dgreid.strategies.feature_dimension import feature_dimension
from dgreid.testing.problem import Problem
from dgreid.types import StepResult

Numbers = dict[str, NDArray[Any]]


class Training:
    """A net and a strategy in training.

    Args:
        problem: what is trained.
        batch_statistics: of several processes, as in a run.

    Raises:
        InputError: the strategy refuses the net, the domains, or to be divided so.
    """

    def __init__(self, problem: Problem, batch_statistics: BatchStatistics = "global") -> None:
        self.problem = problem
        self.module = problem.module(batch_statistics)
        self.net, self.strategy = self.module.net, self.module.strategy
        self.module.setup("fit")
        self.parameters = list(self.strategy.parameter_groups(self.net))
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, weight_decay=5e-4)

    def start(self) -> Training:
        """Hands over class centroids, as before the first step of a run that is not continued."""
        self.strategy.fill(self.problem.centroids(feature_dimension(self.net)))
        return self

    def loss(self, step: int, names: Sequence[str] | None = None) -> StepResult:
        """The strategy's loss of a step.

        Args:
            step: from 0.
            names: domains that take part; None for all.
        """
        clock, batches = self.problem.clock(step), self.problem.batches(step)
        self.module._seed("loss", clock)
        return self.strategy.loss(self.net, {name: batches[name] for name in names or batches}, clock)

    def step(self, step: int, names: Sequence[str] | None = None) -> Numbers:
        """A whole step.

        Returns:
            its loss, what the strategy logs, and the gradient of each parameter: means over all processes.
        """
        result = self.loss(step, names)
        self.optimizer.zero_grad()
        result.loss.backward()
        reached = [number for number, one in enumerate(self.parameters) if one.grad is not None]
        gradients = [self.parameters[number].grad for number in reached]
        for number, mean in zip(reached, mean_of_each([one for one in gradients if one is not None]), strict=True):
            self.parameters[number].grad = mean
        self.optimizer.step()
        clock, batches = self.problem.clock(step), self.problem.batches(step)
        self.module._seed("after_step", clock)
        with torch.no_grad():
            self.strategy.after_step(self.net, {name: batches[name] for name in names or batches}, result, clock)
        follow_first_rank(list(self.net.buffers()))
        logged = {f"scalar/{name}": value.numpy() for name, value in self.module._numbers(result).items()}
        found: Numbers = {"loss": logged.pop("scalar/loss"), **logged}
        for number in reached:
            gradient = self.parameters[number].grad
            assert gradient is not None
            found[f"gradient/{self._name(number)}"] = gradient.detach().numpy().copy()
        return found

    def state(self) -> Numbers:
        """All that a checkpoint keeps of net and strategy."""
        return {f"state/{name}": value.detach().numpy().copy() for name, value in self.module.state_dict().items()}

    def checkpoint(self) -> bytes:
        """Net, strategy and optimizer, as a file holds them."""
        file = io.BytesIO()
        torch.save({"state_dict": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}, file)
        return file.getvalue()

    def load(self, checkpoint: bytes) -> Training:
        """Goes on where a checkpoint was taken."""
        content = torch.load(io.BytesIO(checkpoint), weights_only=True)
        self.module.load_state_dict(content["state_dict"])
        self.optimizer.load_state_dict(content["optimizer"])
        return self

    def _name(self, number: int) -> str:
        names = {id(parameter): name for name, parameter in self.module.named_parameters()}
        return names.get(id(self.parameters[number]), str(number))


def trained(problem: Problem, batch_statistics: BatchStatistics = "global", steps: int = 2) -> tuple[int, Numbers]:
    """This process's rank, and all numbers of some steps, under ``<step>/...``, with the state after them."""
    training = Training(problem, batch_statistics).start()
    found: Numbers = {}
    for step in range(steps):
        found |= {f"{step}/{name}": value for name, value in training.step(step).items()}
    return rank_and_world_size()[0], found | training.state()


def errors(one: Numbers, other: Numbers) -> dict[str, float]:
    """Of each array that both have the largest difference, relative to its largest number or 0.001."""
    both = [name for name in one if name in other]
    return {name: float(abs(other[name] - one[name]).max() / max(1e-3, abs(one[name]).max())) for name in both}
