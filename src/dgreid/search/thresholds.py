"""When the answer is "nobody": thresholds that a run took from held-out people of its sources."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from dgreid.errors import InputError
from dgreid.run.open_set import Thresholds, stored_thresholds
from dgreid.search.weights import Weights

OWN = "or give a score of your own with threshold=..."


class Threshold(NamedTuple):
    """An answer counts where its score is at least this.

    Attributes:
        value: the score.
        false_accept_rate: share of searches for people who were not in the gallery that it answered, when it was taken;
            None for a threshold that the user typed.
        gallery_images: how many images that gallery had; None likewise.
        searches: how many such searches there were; None likewise.
    """

    value: float
    false_accept_rate: float | None = None
    gallery_images: int | None = None
    searches: int | None = None

    def explained(self, images: int) -> str:
        """Where it comes from, and what that means for a gallery of so many images."""
        if self.false_accept_rate is None or self.gallery_images is None or self.searches is None:
            return f"threshold {self.value:.3f}, as given; how many false answers it lets through is not known"
        larger = "; this one is larger" if images > self.gallery_images else ""
        enough = math.ceil(1 / self.false_accept_rate)
        few = (
            f". So few cannot tell this rate, which takes {enough:,}: the threshold lies above all that they found"
            if self.searches < enough
            else ""
        )
        return (
            f"threshold {self.value:.3f} for a false-accept rate of {100 * self.false_accept_rate:g} %, taken from "
            f"{self.searches:,} searches for held-out people of the sources in a gallery of {self.gallery_images:,} "
            f"images{few}. The rate grows with the gallery ({images:,} images here{larger}), and other cameras have "
            "another rate"
        )


def chosen_threshold(rate: object, typed: object, run: Path, weights: Weights) -> Threshold | None:
    """The threshold that was asked for.

    Args:
        rate: a wanted false-accept rate that the run has a threshold for, or None.
        typed: a threshold, or None.
        run: the folder of the run that the index belongs to.
        weights: of the index.

    Returns:
        None if neither is wanted: then each query is answered, whoever it shows.

    Raises:
        InputError: both are wanted, one is no number, or the run has no such threshold.
    """
    if rate is not None and typed is not None:
        raise InputError(f"false_accept_rate={rate} with threshold={typed}: each gives a threshold; leave one out")
    if typed is not None:
        return Threshold(_number(typed, "threshold"))
    if rate is None:
        return None
    wanted, stored = _number(rate, "false_accept_rate"), _stored(rate, run, weights)
    for known, value in stored.by_rate.items():
        if math.isclose(float(known), wanted):
            return Threshold(value, float(known), stored.gallery_images, stored.queries)
    raise InputError(
        f"false_accept_rate={rate}: {run} has thresholds for {', '.join(stored.by_rate)}; choose one of these, {OWN}"
    )


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{key}={value}: a number, for instance {key}={'0.01' if 'rate' in key else '0.7'}")
    return float(value)


def _stored(rate: object, run: Path, weights: Weights) -> Thresholds:
    """The thresholds of a run, if they belong to the scores of these weights."""
    stored = stored_thresholds(run)
    if stored is None or not stored.by_rate:
        raise InputError(
            f"false_accept_rate={rate}: {run} has no thresholds, because they are taken from people of the sources "
            f"that were not trained on. Train with holdout=0.1, {OWN}"
        )
    flip_then, flip_now = stored.flip, bool(weights.preprocessing["flip_average"])
    if (stored.step, flip_then) != (weights.step, flip_now):
        raise InputError(
            f"false_accept_rate={rate}: the thresholds of {run} are of step {stored.step} with "
            f"flip={str(flip_then).lower()}, the index is of step {weights.step} with flip={str(flip_now).lower()} "
            f"(checkpoint {weights.checkpoint}), so they do not belong to its scores; make another index with "
            f"checkpoint=selected flip={str(flip_then).lower()}, {OWN}"
        )
    return stored
