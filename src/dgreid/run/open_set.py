"""When to answer "nobody": thresholds from held-out people of the sources, and what they reach on a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dgreid.errors import InputError
from dgreid.evaluation.metric import RetrievalMetric
from dgreid.evaluation.open_set import (
    OpenSetScores,
    open_set_rates,
    open_set_scores,
    pooled_open_set_scores,
    threshold_for,
)
from dgreid.run.folder import RESULT
from dgreid.run.stored import stored_json


class Thresholds(NamedTuple):
    """Thresholds for "not in the gallery", which hold for one state of the weights and one way to embed.

    Attributes:
        step: optimizer steps these weights took.
        flip: whether embeddings were averaged with those of the mirrored images.
        by_rate: threshold by wanted false-accept rate, as text.
        queries: held-out queries they were taken from.
        gallery_images: largest gallery among those searched; false accepts grow with the gallery.
        true_accepts: share of these queries that are answered rightly, by rate.
    """

    step: int
    flip: bool
    by_rate: dict[str, float]
    queries: int
    gallery_images: int
    true_accepts: dict[str, float]

    def record(self) -> dict[str, Any]:
        """Plain values for ``result.json``."""
        return {
            "taken_from": "held-out identities of the sources", "step": self.step, "flip": self.flip,
            "thresholds": self.by_rate, "queries": self.queries,
            "gallery_images": self.gallery_images, "true_accepts": self.true_accepts,
        }  # fmt: skip

    def reached(self, scores: OpenSetScores) -> dict[str, dict[str, float]]:
        """True and false accepts on a target, by wanted rate."""
        return {rate: open_set_rates(scores, threshold).summary() for rate, threshold in self.by_rate.items()}


def scores_of(metric: RetrievalMetric) -> OpenSetScores:
    """What each query of a set finds, with its identity in the gallery and without."""
    scoring, labels = metric.scoring, (metric.query_labels, metric.gallery_labels)
    return open_set_scores(metric.score_block, *labels, scoring.same_camera, scoring.memory_limit)


def thresholds_from(held_out: Sequence[RetrievalMetric], rates: Sequence[float], step: int) -> Thresholds:
    """Thresholds at wanted false-accept rates.

    Args:
        held_out: the held-out sets of the sources with their embeddings, at least one.
        rates: wanted shares of queries of people outside the gallery that are answered all the same, 0..1.
        step: optimizer steps of the weights that made the embeddings.
    """
    scores = pooled_open_set_scores([scores_of(metric) for metric in held_out])
    by_rate = {f"{rate:g}": threshold_for(scores.best_other, rate) for rate in rates}
    return Thresholds(
        step=step,
        flip=held_out[0].scoring.flip,
        by_rate=by_rate,
        queries=len(scores.best),
        gallery_images=max(len(metric.gallery_labels.identities) for metric in held_out),
        true_accepts={rate: open_set_rates(scores, t).true_accepts for rate, t in by_rate.items()},
    )


def stored_thresholds(run: Path) -> Thresholds | None:
    """Those that training left in a run's ``result.json``; None for a run without held-out identities.

    Raises:
        InputError: the file is damaged.
    """
    if not (run / RESULT).is_file():
        return None
    stored = stored_json(run / RESULT).get("open_set")
    if stored is None:
        return None
    try:
        return Thresholds(
            int(stored["step"]), bool(stored["flip"]), _by_rate(stored["thresholds"]), int(stored["queries"]),
            int(stored["gallery_images"]), _by_rate(stored["true_accepts"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{run / RESULT} is damaged (open_set: {error!r}); copy the run again") from error


def _by_rate(stored: Mapping[str, Any]) -> dict[str, float]:
    return {f"{float(rate):g}": float(value) for rate, value in stored.items()}
