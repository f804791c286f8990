"""Open-set identification: who is this, or is it nobody in the gallery?

The answer is the most similar gallery image if its similarity reaches a threshold, and "nobody" otherwise. Figures as
in open-set identification (ISO/IEC 19795; NIST's face recognition tests, FRVT): the true positive identification
rate (TPIR) is the share of queries with a match that are answered, and rightly; the false positive identification
rate (FPIR) is the share of queries answered although their identity is not enrolled. For the latter each query is
asked once more of a gallery without its identity.

A false positive needs only one of all gallery images to look similar, so the rate at one threshold grows with the
gallery. A threshold learnt on held-out identities of the source domains therefore carries over to a target only as
far as the galleries are alike in size, and similarities in their distribution; evaluation reports the rates that it
reaches on the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT
from dgreid.evaluation.false_accepts import allowed_false_accepts, threshold_above
from dgreid.evaluation.labels import Array, Candidates, Labels, Numbers, as_numbers
from dgreid.evaluation.query_rows import QueryRows
from dgreid.evaluation.similarity import ScoreBlock
from dgreid.types import SameCamera


class OpenSetScores(NamedTuple):
    """What each query finds, with its identity in the gallery and without.

    Attributes:
        best: (Q,) similarity of its best gallery image, junk left out; minus infinity if nothing is left.
        correct: (Q,) whether that image shows its identity; ties go to the smaller gallery index.
        best_other: (Q,) similarity of its best image of another identity; minus infinity if there is none.
        valid: (Q,) whether it has a match in the gallery.
    """

    best: Numbers
    correct: NDArray[np.bool_]
    best_other: Numbers
    valid: NDArray[np.bool_]


class OpenSetRates(NamedTuple):
    """What a threshold reaches.

    Attributes:
        threshold: answer where the similarity is at least this.
        true_accepts: share of valid queries that are answered, and rightly (TPIR at rank 1), 0..1.
        false_accepts: share of all queries that would be answered were their identity not enrolled (FPIR), 0..1.
    """

    threshold: float
    true_accepts: float
    false_accepts: float

    def summary(self) -> dict[str, float]:
        """The rates by the field's names, and the threshold."""
        return {"TPIR": self.true_accepts, "FPIR": self.false_accepts, "open_set_threshold": self.threshold}


def open_set_scores(
    block: ScoreBlock,
    query_labels: Labels,
    gallery_labels: Labels,
    same_camera: SameCamera = "ignore",
    memory_limit: float = MEMORY_LIMIT,
) -> OpenSetScores:
    """What each query finds in the gallery, with its identity and without.

    Args:
        block: similarities, a block of queries at a time; larger is more similar.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        same_camera: whether gallery images of the query's identity and camera are left out (``ignore``) or are
            matches (``keep``).
        memory_limit: MiB for a block of similarities.

    Raises:
        InputError: there is no query, shapes do not fit, or a similarity is NaN.
    """
    rows = QueryRows(block, query_labels, gallery_labels, same_camera, memory_limit)
    if not len(rows):
        raise InputError("there are no queries; give at least one")
    found = [_best(scores, sets) for scores, sets in rows]
    return OpenSetScores(*(np.array(values) for values in zip(*found, strict=True)))


def pooled_open_set_scores(parts: Sequence[OpenSetScores]) -> OpenSetScores:
    """Several domains' queries as one set, each query with the gallery of its own domain.

    Every query weighs the same, so a domain weighs as much as it has queries.

    Raises:
        InputError: there is no domain.
    """
    if not parts:
        raise InputError("there are no open-set scores to pool; give those of at least one domain")
    return OpenSetScores(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def threshold_for(best_other: Array, false_accept_rate: float) -> float:
    """The smallest threshold at which at most a wanted share of queries is answered falsely.

    Args:
        best_other: (Q,) similarities to the best image of another identity, at least one.
        false_accept_rate: wanted share of them that reach the threshold, 0..1. With fewer than 1 / rate queries the
            threshold lies above all of them.

    Returns:
        A threshold that numbers of the similarities' type can be compared with exactly; minus infinity for rate 1.

    Raises:
        InputError: a rate outside 0..1, no similarities, or one that is NaN or plus infinity where the threshold lies.
    """
    if not 0 <= false_accept_rate <= 1:
        raise InputError(f"false_accept_rate={false_accept_rate}: give a share between 0 and 1, for instance 0.01")
    scores = as_numbers(best_other)
    if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
        raise InputError(
            f"best_other has shape {scores.shape} and {np.isnan(scores).sum()} NaN; give one similarity for each of "
            "at least one query"
        )
    allowed = allowed_false_accepts(false_accept_rate, scores.size)
    if allowed == scores.size:
        return -math.inf
    refused = scores.size - allowed - 1  # in ascending order the last that must not be answered
    return threshold_above(np.partition(scores, refused)[refused])


def open_set_rates(scores: OpenSetScores, threshold: float) -> OpenSetRates:
    """True and false accepts at a threshold.

    Raises:
        InputError: the threshold is NaN, or no query has a match.
    """
    if math.isnan(threshold):
        raise InputError("threshold=nan: give a similarity, for instance what threshold_for returns")
    if not scores.valid.any():
        raise InputError(
            f"none of the {scores.valid.size} queries has a match in the gallery, so there are no true accepts; "
            "check identities and cameras, or mark unknown cameras with -1"
        )
    answered = scores.best.astype(np.float64) >= threshold
    return OpenSetRates(
        threshold=float(threshold),
        true_accepts=float(np.mean((answered & scores.correct)[scores.valid])),
        false_accepts=float(np.mean(scores.best_other.astype(np.float64) >= threshold)),
    )


def _best(scores: Numbers, sets: Candidates) -> tuple[np.floating, bool, np.floating, bool]:
    """What one query finds, by the attributes of :class:`OpenSetScores`."""
    left = scores.copy()  # the row belongs to the block
    left[sets.junk] = -np.inf
    first = left.argmax()  # the first of equal ones
    if left[first] == -np.inf:  # an image as bad as that comes before none but junk
        allowed = np.ones(left.size, dtype=bool)
        allowed[sets.junk] = False
        first = allowed.argmax()
    best = left[first]
    correct = bool(np.isin(first, sets.positives))
    left[sets.positives] = -np.inf
    return best, correct, left.max(), sets.positives.size > 0
