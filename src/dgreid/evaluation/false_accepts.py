"""The smallest threshold that keeps false accepts at a wanted rate.

A score is accepted where it reaches the threshold (score >= threshold), so equal scores are accepted together and
count against us. Rates are shares, compared as ``accepted / all <= rate``.
"""

from __future__ import annotations

import math

import numpy as np

from dgreid.errors import InputError


def allowed_false_accepts(rate: float, count: int) -> int:
    """The most of ``count`` scores that may be accepted: the largest n with n / count <= rate.

    Args:
        rate: 0..1.
        count: 0 or more; of none, none may be accepted.
    """
    if not count:
        return 0
    allowed = min(count, math.floor(rate * count) + 1)  # the product may be rounded to either side
    while allowed / count > rate:
        allowed -= 1
    return allowed


def fewest_that_tell(rate: float) -> int:
    """The fewest scores of which one may be accepted: the smallest n with 1 / n <= rate, for a rate above 0."""
    fewest = math.ceil(1 / rate)  # the quotient may be rounded to either side
    return next(count for count in (fewest - 1, fewest, fewest + 1) if allowed_false_accepts(rate, count))


def threshold_above(score: np.floating) -> float:
    """The smallest threshold that refuses a score: the next larger number of its type.

    Raises:
        InputError: the score is infinite, so that no threshold lies above it.
    """
    if score == math.inf:
        raise InputError("similarities are infinite, and no threshold lies above them; give finite numbers")
    return float(np.nextafter(score, math.inf))
