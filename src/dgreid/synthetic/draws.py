"""Random draws that depend on a key alone, never on the order of generation or the number of processes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

# Raise it with any change that moves a pixel: it is part of every key, of the cache's folder name and of the hashes.
VERSION = 1

Option = TypeVar("Option")


def generator(*key: int | str) -> np.random.Generator:
    """A generator that is a pure function of (VERSION, key)."""
    digest = hashlib.sha256(repr((VERSION, *key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Uniform in [low, high)."""
    return low + (high - low) * rng.random()


def around(rng: np.random.Generator, centre: float, spread: float) -> float:
    """Bell-shaped around ``centre``, never further away than ``spread`` (the mean of three uniform draws)."""
    return centre + spread * (2.0 * (rng.random() + rng.random() + rng.random()) / 3.0 - 1.0)


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)


def pick(rng: np.random.Generator, weights: Mapping[Option, float]) -> Option:
    """One of the keys, with probability proportional to its weight."""
    remaining = rng.random() * sum(weights.values())
    for option, weight in weights.items():
        remaining -= weight
        if remaining < 0.0:
            return option
    return next(reversed(list(weights)))


def shuffled(rng: np.random.Generator, count: int) -> list[int]:
    """0..count-1 in random order; unlike ``permutation``, no release of NumPy may change it."""
    keys = rng.random(count).tolist()
    return sorted(range(count), key=keys.__getitem__)


def sine(angle: float) -> float:
    """Sine to six decimals: libraries differ in the last bit, and pixels must not."""
    return round(math.sin(angle), 6)


def cosine(angle: float) -> float:
    """Cosine to six decimals, for the same reason."""
    return round(math.cos(angle), 6)
