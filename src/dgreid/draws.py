"""Random choices of a strategy that belong to a step, not to a process: repeatable, and replaceable in tests."""

from __future__ import annotations

import hashlib
from typing import Protocol

import torch
from torch import Tensor

from dgreid.batch_parts import WHOLE, BatchParts, together
from dgreid.distributed import rank_and_world_size, rows_of_this_rank
from dgreid.types import Clock


def beta_draws(count: int, concentration: float, generator: torch.Generator | None = None) -> Tensor:
    """Draws from Beta(concentration, concentration), concentration > 0: (count,) float32 on the CPU, in [0, 1].

    Two Gamma draws' share, from their logarithms: Gamma(a) is Gamma(a + 1) * U^(1 / a), which for small a is too small
    for a float.
    """
    shape = torch.full((2, count), concentration + 1, dtype=torch.float64)
    one_more = torch._standard_gamma(shape, generator=generator)
    uniform = torch.rand(2, count, dtype=torch.float64, generator=generator)
    first, second = one_more.log() + (-uniform).log1p() / concentration
    return torch.sigmoid(first - second).float()


def all_rows(rows: int) -> int:
    """The rows of all processes, of which each has as many as this one."""
    return rank_and_world_size()[1] * rows


class SeededDraws:
    """Draws that are a pure function of (seed, step, name).

    Equal on every rank, on every device (they are made on the CPU) and after resuming. A strategy takes such an object
    as its ``draws``; anything with the same methods may stand in, for instance to replay recorded choices.

    Draws that belong to the rows of a batch are made for the rows of all processes, in rank order; each process gets
    its own.
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

    def number(self, clock: Clock, name: str) -> float:
        """A number in [0, 1)."""
        return float(torch.rand((), generator=self.generator(clock, name)))

    def normal(self, rows: int, width: int, clock: Clock, name: str) -> Tensor:
        """Standard normal draws that belong to rows of a batch: (rows, width) on the CPU, of torch's default type."""
        generator = self.generator(clock, name)
        return rows_of_this_rank(torch.randn(all_rows(rows), width, generator=generator))

    def uniform(self, rows: int, width: int, clock: Clock, name: str) -> Tensor:
        """Draws from [0, 1) that belong to the rows of a batch: (rows, width) on the CPU, of torch's default type."""
        generator = self.generator(clock, name)
        return rows_of_this_rank(torch.rand(all_rows(rows), width, generator=generator))

    def beta(self, rows: int, concentration: float, clock: Clock, name: str) -> Tensor:
        """Draws from Beta(concentration, concentration), one for each row of a batch: (rows,) float32 on the CPU."""
        return rows_of_this_rank(beta_draws(all_rows(rows), concentration, self.generator(clock, name)))


class RowDraws(Protocol):
    """What styles ask about the rows of one forward: draws for them, on the CPU, and the rows they count with."""

    def number(self, name: str) -> float:
        """A number in [0, 1) for the whole batch."""

    def uniform(self, rows: int, width: int, name: str) -> Tensor:
        """(rows, width) draws from [0, 1)."""

    def normal(self, rows: int, width: int, name: str) -> Tensor:
        """(rows, width) standard normal draws."""

    def beta(self, rows: int, concentration: float, name: str) -> Tensor:
        """(rows,) draws from Beta(concentration, concentration)."""

    def permutation(self, count: int, name: str) -> Tensor:
        """(count,) int64, a partner for each row: a permutation of :meth:`together`'s rows, or a part of one."""

    def together(self, values: Tensor) -> Tensor:
        """(rows, ...) values of this forward's rows to those of all rows whose statistics are taken together."""

    def under(self, name: str) -> RowDraws:
        """The draws of a part of the forward, for instance of one layer."""


class StepDraws:
    """The draws of one forward of a step.

    A forward may be made in parts with statistics of their own; then part i gets rows ``i * rows .. (i + 1) * rows`` of
    what is drawn for all parts: what rank i of as many processes draws.

    Args:
        draws: asked for everything, under the names ``<prefix>/<name>``.
        clock: the step.
        prefix: names the forward within the step.
        parts: which rows count together.
        position: which of this process's parts this is, from 0.
    """

    def __init__(
        self, draws: SeededDraws, clock: Clock, prefix: str, parts: BatchParts = WHOLE, position: int = 0
    ) -> None:
        self.draws = draws
        self.clock = clock
        self.prefix = prefix
        self.parts = parts
        self.position = position

    def at(self, position: int) -> StepDraws:
        """The draws of one part of this forward."""
        return StepDraws(self.draws, self.clock, self.prefix, self.parts, position)

    def under(self, name: str) -> StepDraws:
        """The draws of a part of the net in this forward: all names get one more level."""
        return StepDraws(self.draws, self.clock, f"{self.prefix}/{name}", self.parts, self.position)

    def number(self, name: str) -> float:
        """A number in [0, 1), the same for all rows, parts and ranks."""
        return self.draws.number(self.clock, f"{self.prefix}/{name}")

    def uniform(self, rows: int, width: int, name: str) -> Tensor:
        """Draws from [0, 1) for the rows of this part: (rows, width) on the CPU."""
        return self._own(self.draws.uniform(self._all(rows), width, self.clock, f"{self.prefix}/{name}"), rows)

    def normal(self, rows: int, width: int, name: str) -> Tensor:
        """Standard normal draws for the rows of this part: (rows, width) on the CPU."""
        return self._own(self.draws.normal(self._all(rows), width, self.clock, f"{self.prefix}/{name}"), rows)

    def beta(self, rows: int, concentration: float, name: str) -> Tensor:
        """Draws from Beta(concentration, concentration) for the rows of this part: (rows,) on the CPU."""
        return self._own(self.draws.beta(self._all(rows), concentration, self.clock, f"{self.prefix}/{name}"), rows)

    def permutation(self, count: int, name: str) -> Tensor:
        """A uniform permutation of 0..count-1 of this part's own, asked under ``<prefix>/<name>/<part>``.

        Parts are numbered through all ranks. Ranks that share statistics have one permutation of all their rows; each
        gets its own rows' partners.
        """
        if self.parts.shared:
            whole = self.draws.permutation(all_rows(count), self.clock, f"{self.prefix}/{name}/0")
            return rows_of_this_rank(whole)
        part = rank_and_world_size()[0] * self.parts.chunks + self.position
        return self.draws.permutation(count, self.clock, f"{self.prefix}/{name}/{part}")

    def together(self, values: Tensor) -> Tensor:
        """The values themselves, or with shared statistics those of all processes, in rank order."""
        return together(values) if self.parts.shared else values

    def _all(self, rows: int) -> int:
        return self.parts.chunks * rows

    def _own(self, everything: Tensor, rows: int) -> Tensor:
        return everything[self.position * rows : (self.position + 1) * rows]


class AmbientDraws:
    """The same draws from torch's global generator, whatever the name: for use outside a strategy."""

    def under(self, name: str) -> AmbientDraws:
        """These draws: each call draws anew."""
        return self

    def number(self, name: str) -> float:
        """A number in [0, 1)."""
        return float(torch.rand(()))

    def uniform(self, rows: int, width: int, name: str) -> Tensor:
        """Draws from [0, 1): (rows, width) on the CPU."""
        return torch.rand(rows, width)

    def normal(self, rows: int, width: int, name: str) -> Tensor:
        """Standard normal draws: (rows, width) on the CPU."""
        return torch.randn(rows, width)

    def beta(self, rows: int, concentration: float, name: str) -> Tensor:
        """Draws from Beta(concentration, concentration): (rows,) on the CPU."""
        return beta_draws(rows, concentration)

    def permutation(self, count: int, name: str) -> Tensor:
        """A uniform permutation of 0..count-1: (count,) int64 on the CPU."""
        return torch.randperm(count)

    def together(self, values: Tensor) -> Tensor:
        """The values: a batch counts by itself."""
        return values
