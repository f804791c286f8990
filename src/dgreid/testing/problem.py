"""A problem of toy size that a strategy is tried on: three domains of different spread, in noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgreid.distributed import rows_of_this_rank
from dgreid.module import BatchStatistics, ReIDModule
from dgreid.nets.small import small
from dgreid.strategies.base import TrainingStrategy
from dgreid.types import Clock, DomainInfo, ReIDBatch

PEOPLE, IMAGES = 6, 2
HEIGHT, WIDTH = 64, 32
IDENTITIES = {"first": 7, "second": 8, "third": 9}
SEED = 4


def small_net() -> nn.Module:
    """Four residual blocks and a neck; 32 features."""
    return small(width=4)


@dataclass(frozen=True)
class Problem:
    """What is trained, and on what.

    Attributes:
        make_strategy: a new strategy at each call.
        make_net: a new net at each call, random numbers from torch's global generator; with ``feature_dimension``.
        dtype: of all weights.
        sources: so many domains, at most three.
    """

    make_strategy: Callable[[], TrainingStrategy]
    make_net: Callable[[], nn.Module] = small_net
    dtype: torch.dtype = torch.float64
    sources: int = len(IDENTITIES)

    @property
    def domains(self) -> list[DomainInfo]:
        """The source domains."""
        return [DomainInfo(name, count, 50, 2, "") for name, count in list(IDENTITIES.items())[: self.sources]]

    def module(self, batch_statistics: BatchStatistics = "global") -> ReIDModule:
        """Net and strategy with their first weights, the same at each call."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = self.make_net()
            torch.manual_seed(1)
            module = ReIDModule(net, self.make_strategy(), self.domains, seed=SEED, batch_statistics=batch_statistics)
        # A run in single precision converts nothing either.
        return (module if self.dtype == torch.float32 else module.to(self.dtype)).train()

    def clock(self, step: int) -> Clock:
        """Where training stands."""
        return Clock(step=step, epoch=0, learning_rate=1e-3, seed=SEED)

    def batches(self, step: int) -> dict[str, ReIDBatch]:
        """This process's rows of a step."""
        generator = torch.Generator().manual_seed(step)
        whole = {}
        for position, (name, count) in enumerate(IDENTITIES.items()):
            labels = torch.randperm(count, generator=generator)[:PEOPLE].repeat_interleave(IMAGES)
            if name == "second":
                labels[-IMAGES:] = labels[0]  # an identity that several processes have
            shape = (len(labels), 3, HEIGHT, WIDTH)
            images = torch.randn(shape, dtype=torch.float64, generator=generator) * (1 + position)
            whole[name] = ReIDBatch(images.to(self.dtype), labels, torch.zeros_like(labels), torch.arange(len(labels)))
        names = [domain.name for domain in self.domains]
        return {name: ReIDBatch(*map(rows_of_this_rank, whole[name])) for name in names}

    def centroids(self, width: int) -> dict[str, Tensor]:
        """Unit rows of so many features, one for each identity of each domain."""
        generator = torch.Generator().manual_seed(9)
        drawn = {
            name: torch.randn(count, width, dtype=torch.float64, generator=generator)
            for name, count in IDENTITIES.items()
        }
        return {domain.name: F.normalize(drawn[domain.name], dim=1).to(self.dtype) for domain in self.domains}
