"""Verification: do two images show one person, where only their similarity and a threshold decide?

All pairs of a query and a gallery image are compared that the camera rule leaves. Genuine pairs show one identity,
impostor pairs two. A pair is accepted where its similarity reaches the threshold. At a wanted false accept rate the
threshold is the smallest at which the share of accepted impostor pairs is at most that rate (ties count against us),
and the figure is the share of genuine pairs that it accepts: the points of the receiver operating characteristic that
applications read.

The figures are exact. Genuine scores are few and kept; of the impostor scores only as many of the largest as the
largest rate accepts are kept, in one buffer of twice their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT
from dgreid.evaluation.false_accepts import allowed_false_accepts, fewest_that_tell, threshold_above
from dgreid.evaluation.labels import Labels, Numbers
from dgreid.evaluation.query_rows import QueryRows
from dgreid.evaluation.similarity import ScoreBlock
from dgreid.types import SameCamera

RATES = (1e-2, 1e-3, 1e-4)
SPARE_SCORES = 2**20  # a buffer is cleared at most once in so many scores


class OperatingPoint(NamedTuple):
    """What verification reaches at one wanted false accept rate.

    Attributes:
        rate: the wanted false accept rate.
        threshold: accept where the similarity is at least this; None where there are fewer than 1 / rate impostor
            pairs, which cannot tell such a rate.
        true_accept_rate: share of genuine pairs that are accepted, 0..1; None likewise.
        false_accept_rate: share of impostor pairs that are accepted, at most the rate; None likewise.
    """

    rate: float
    threshold: float | None
    true_accept_rate: float | None
    false_accept_rate: float | None


class VerificationResult(NamedTuple):
    """Points of the receiver operating characteristic.

    Attributes:
        points: one for each wanted rate, in the order asked.
        genuine_pairs: pairs of one identity.
        impostor_pairs: pairs of two identities.
    """

    points: tuple[OperatingPoint, ...]
    genuine_pairs: int
    impostor_pairs: int

    def summary(self) -> dict[str, float | int | None]:
        """Shares 0..1 under names such as ``TAR@FAR=1e-3``, None where it cannot be told, and the numbers of pairs."""
        shares = {_name(point.rate): point.true_accept_rate for point in self.points}
        return {**shares, "genuine_pairs": self.genuine_pairs, "impostor_pairs": self.impostor_pairs}

    def remarks(self) -> list[str]:
        """A sentence for each rate that could not be told."""
        return [
            f"{_name(point.rate)} cannot be told from {self.impostor_pairs} impostor pairs: it takes at least "
            f"{fewest_that_tell(point.rate)}"
            for point in self.points
            if point.threshold is None
        ]


def evaluate_verification(
    block: ScoreBlock,
    query_labels: Labels,
    gallery_labels: Labels,
    rates: Sequence[float] = RATES,
    same_camera: SameCamera = "ignore",
    memory_limit: float = MEMORY_LIMIT,
) -> VerificationResult:
    """True accept rates at wanted false accept rates, over all pairs that the camera rule leaves.

    Queries without a match count too: their pairs are impostors.

    Args:
        block: similarities, a block of queries at a time; larger is more similar.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        rates: wanted false accept rates, each between 0 and 1. The largest says how many impostor scores are kept:
            12 bytes for each of rate × impostor pairs, in float32 (twice as much in float64).
        same_camera: whether pairs of one identity and one camera are left out (``ignore``) or genuine (``keep``).
        memory_limit: MiB for a block of similarities; the impostor scores that are kept come on top.

    Raises:
        InputError: a rate outside 0..1, shapes do not fit, a similarity is NaN, or there is no genuine pair.
    """
    _check(rates)
    rows = QueryRows(block, query_labels, gallery_labels, same_camera, memory_limit)
    rows.require_match()
    impostor_pairs = count_impostors(rows.query_identities, rows.gallery_identities)
    allowed = [allowed_false_accepts(rate, impostor_pairs) for rate in rates]

    genuine: list[Numbers] = []
    impostors: LargestScores | None = None
    for scores, (positives, junk) in rows:
        impostors = impostors or LargestScores(1 + max(allowed), scores.dtype)
        genuine.append(scores[positives])
        impostor = scores > impostors.floor
        impostor[positives] = impostor[junk] = False
        impostors.add(scores[impostor])
    assert impostors is not None  # there is a match, so there is a query
    return _result(rates, allowed, np.concatenate(genuine), impostors.descending(), impostor_pairs)


def count_impostors(query: NDArray[np.int64], gallery: NDArray[np.int64]) -> int:
    """Number of pairs of two identities, from (Q,) and (G,) identities."""
    ordered = np.sort(gallery)
    same = np.searchsorted(ordered, query, "right") - np.searchsorted(ordered, query, "left")
    return query.size * gallery.size - int(same.sum())


class LargestScores:
    """The largest of many scores, equal ones each on its own, in twice their memory and a few megabytes.

    Args:
        count: how many to keep, at least 1.
        dtype: their floating point type.

    Attributes:
        floor: scores that are not above it change nothing.
    """

    def __init__(self, count: int, dtype: DTypeLike) -> None:
        self._count = count
        self._buffer = np.empty(count + max(count, SPARE_SCORES), dtype)
        self._buffer[:count] = -np.inf
        self._filled = count
        self.floor: np.floating = self._buffer[0]

    def add(self, scores: Numbers) -> None:
        """Takes any number of scores into account: (n,)."""
        while scores.size:
            fitting = scores[: self._buffer.size - self._filled]
            self._buffer[self._filled : self._filled + fitting.size] = fitting
            self._filled += fitting.size
            scores = scores[fitting.size :]
            if self._filled == self._buffer.size:
                self._drop_smallest()

    def descending(self) -> Numbers:
        """The largest scores added so far, largest first: (count,), filled up with minus infinity."""
        self._drop_smallest()
        return np.sort(self._buffer[: self._count])[::-1]

    def _drop_smallest(self) -> None:
        filled = self._buffer[: self._filled]
        filled.partition(self._filled - self._count)
        self._buffer[: self._count] = filled[self._filled - self._count :]
        self._filled = self._count
        self.floor = self._buffer[0]  # partitioned: the smallest of the largest comes first


def _check(rates: Sequence[float]) -> None:
    if not rates:
        raise InputError("rates are empty; give at least one false accept rate, for instance 0.001")
    for rate in rates:
        if not 0 < rate < 1:
            raise InputError(f"rates: {rate} is no false accept rate; give numbers between 0 and 1, for instance 0.001")


def _result(
    rates: Sequence[float], allowed: list[int], genuine: Numbers, impostors: Numbers, impostor_pairs: int
) -> VerificationResult:
    """The points, from all genuine scores and the largest impostor scores, largest first."""
    points = []
    for rate, accepted in zip(rates, allowed, strict=True):
        if not accepted:
            points.append(OperatingPoint(rate, None, None, None))
            continue
        threshold = threshold_above(impostors[accepted])
        points.append(
            OperatingPoint(
                rate=rate,
                threshold=threshold,
                true_accept_rate=float(np.mean(genuine >= threshold)),
                false_accept_rate=np.count_nonzero(impostors >= threshold) / impostor_pairs,
            )
        )
    return VerificationResult(tuple(points), genuine.size, impostor_pairs)


def _name(rate: float) -> str:
    return f"TAR@FAR={np.format_float_scientific(rate, trim='-', exp_digits=1)}"
