"""Random numbers that are a function of what they are for, and of nothing else."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def uniform(rows: range, columns: int, *purpose: str | int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), one row for each position.

    Args:
        rows: global positions ``start..stop-1``. The numbers of a position do not depend on which others are asked for.
        columns: numbers for each position.
        purpose: names the table, e.g. seed, domain, step and use; tables of different purposes are independent.

    Returns:
        (len(rows), columns) float64.
    """
    name = "\0".join(map(str, purpose)).encode()
    # Philox is counter-based: any key starts a stream of its own, at the price of no warm-up.
    key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
    # Generator.random is the one method whose stream NumPy has never changed, so all draws are made from it.
    table = np.random.Generator(np.random.Philox(key=key)).random((rows.stop, columns))
    return table[rows.start :]


def permutation(size: int, *purpose: str | int) -> NDArray[np.int64]:
    """A random order of 0..size-1, a function of ``purpose``."""
    return np.argsort(uniform(range(size), 1, *purpose)[:, 0], kind="stable")


class StepDraws(NamedTuple):
    """The random numbers of one rank's rows in one step of one domain.

    Attributes:
        seed: the run's seed.
        domain: name of the domain.
        step: global step, from 0.
        rows: positions of this rank's rows in the global batch.
    """

    seed: int
    domain: str
    step: int
    rows: range

    def uniform(self, use: str, columns: int) -> NDArray[np.float64]:
        """(len(rows), columns) numbers in [0, 1); the same row on every rank, worker and resumed run."""
        return uniform(self.rows, columns, self.seed, self.domain, self.step, use)
