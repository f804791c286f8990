"""Precision over recall, interpolated so that queries with different numbers of matches can be averaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.labels import Candidates, Numbers

RECALL_STEPS = 100


def interpolated_precision(scores: Numbers, sets: Candidates) -> NDArray[np.float64]:
    """Of one query, the best precision at each recall or at a higher one, at recall 0, 0.01, ..., 1: (101,), 0..1.

    A precision is that of all images with at least some score, so images with equal scores come in together and the
    curve does not depend on the order of the gallery. The interpolation is that of TREC and Pascal VOC (Manning et al.,
    Introduction to Information Retrieval, section 8.4); it never rises with recall, and at recall 0 it is the best
    precision of all.

    Args:
        scores: (G,) similarity to each gallery image.
        sets: the query's positives, at least one, and its junk, which is left out.
    """
    thresholds = np.sort(scores[sets.positives])
    found = thresholds.size - np.searchsorted(thresholds, thresholds, "left")
    precision = found / _not_below(scores, thresholds, sets.junk)  # at falling recall, since thresholds rise
    best = np.maximum.accumulate(precision)
    levels = np.arange(RECALL_STEPS + 1)
    needed = -(-levels * thresholds.size // RECALL_STEPS)  # in integers: recall 0.07 of 100 matches is 7 of them
    return best[thresholds.size - np.maximum(needed, 1)]


def _not_below(scores: Numbers, thresholds: Numbers, junk: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many gallery images that are not junk score at least each of the ascending thresholds."""
    contenders = np.sort(scores[scores >= thresholds[0]])
    count = contenders.size - np.searchsorted(contenders, thresholds, "left")
    return count - np.count_nonzero(scores[junk][:, None] >= thresholds, axis=0)
