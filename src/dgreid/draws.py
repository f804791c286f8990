"""Random choices of a strategy that belong to a step, not to a process: repeatable, and replaceable in tests."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from dgreid.distributed import rank_and_world_size
from dgreid.types import Clock


class SeededDraws:
    """Draws that are a pure function of (seed, step, name).

    Equal on every rank, on every device (they are made on the CPU) and after resuming. A strategy takes such an object
    as its ``draws``; anything with the same methods may stand in, for instance to replay recorded choices.
    """

    def generator(self, clock: Clock, name: str) -> torch.Generator:
        """A fresh generator for one choice.

        Args:
            clock: its seed and step count, nothing else.
            name: tells apart the choices of one step.
        """
        digest = hashlib.sha256(f"{clock.seed}/{clock.step}/{name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))

    def permutation(self, count: int, clock: Clock, name: str) -> Tensor:
        """A uniform permutation of 0..count-1: (count,) int64 on the CPU."""
        return torch.randperm(count, generator=self.generator(clock, name))

    def choice(self, count: int, clock: Clock, name: str) -> int:
        """One of 0..count-1, each as likely."""
        return int(torch.randint(count, (), generator=self.generator(clock, name)))

    def uniform(self, clock: Clock, name: str) -> float:
        """A number in [0, 1)."""
        return float(torch.rand((), generator=self.generator(clock, name)))

    def normal(self, rows: int, width: int, clock: Clock, name: str) -> Tensor:
        """Standard normal draws that belong to the rows of a batch: (rows, width) float32 on the CPU.

        Drawn for the rows of all processes, in rank order; each process gets its own.
        """
        rank, world_size = rank_and_world_size()
        everything = torch.randn(world_size * rows, width, generator=self.generator(clock, name))
        return everything[rank * rows : (rank + 1) * rows]
