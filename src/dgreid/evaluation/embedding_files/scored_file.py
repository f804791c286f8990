"""All figures of a file of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from dgreid.evaluation.embedding_files.prepared_file import PreparedFile
from dgreid.evaluation.labels import Array
from dgreid.evaluation.open_set import OpenSetScores, open_set_rates, open_set_scores, threshold_for
from dgreid.evaluation.ranking import RetrievalResult
from dgreid.evaluation.scoring import COSINE, Scoring
from dgreid.evaluation.similarity import ScoreBlock

Watch: TypeAlias = Callable[[str, int, int], None]
"""``watch(ranking, done, queries)`` hears of each block of queries; done falls back to 0 where another pass begins."""


class Scored(NamedTuple):
    """The figures of one ranking.

    Attributes:
        ranking: what ranked: ``cosine``, or the label of an expansion or re-ranking.
        result: mAP, CMC, mINP.
        figures: further figures as plain values, by name.
    """

    ranking: str
    result: RetrievalResult
    figures: dict[str, Any]


class OpenSet(NamedTuple):
    """Where "not in the gallery" is answered.

    Attributes:
        rates: wanted shares of people outside the gallery who are taken for somebody, 0..1.
        held_out: what queries of other people find, from which thresholds are taken; None takes them from the scored
            queries themselves, which gives the true accepts at exactly these rates.
    """

    rates: tuple[float, ...]
    held_out: OpenSetScores | None = None

    def reached(self, scores: OpenSetScores) -> dict[str, dict[str, float]]:
        """True and false accepts, by wanted rate."""
        source = scores if self.held_out is None else self.held_out
        return {
            f"{rate:g}": open_set_rates(scores, threshold_for(source.best_other, rate)).summary() for rate in self.rates
        }


def score_file(
    prepared: PreparedFile, scoring: Scoring, open_set: OpenSet | None = None, watch: Watch | None = None
) -> Iterator[tuple[Scored, ScoreBlock]]:
    """Each ranking's figures, the plain one first, and its similarities for pictures.

    Args:
        prepared: the file.
        scoring: how is compared, and which figures are taken.
        open_set: thresholds of the plain ranking.
        watch: hears of progress.

    Raises:
        InputError: no query has a match in the gallery, or the scoring cannot be done with so few images.
    """
    for ranking, block in scoring.rankings(prepared.query, prepared.gallery):
        watched = block if watch is None else _watched(block, ranking, prepared.query_count, watch)
        result = scoring.score(watched, *prepared.labels)
        figures = scoring.figures(watched, *prepared.labels)
        if ranking == COSINE and open_set is not None:
            scores = open_set_scores(watched, *prepared.labels, scoring.same_camera, scoring.memory_limit)
            figures["open_set"] = open_set.reached(scores)
        yield Scored(ranking, result, figures), watched


def held_out_scores(prepared: PreparedFile, scoring: Scoring) -> OpenSetScores:
    """What the queries of a file find, for thresholds."""
    block = scoring.blocks(prepared.query, prepared.gallery)
    return open_set_scores(block, *prepared.labels, scoring.same_camera, scoring.memory_limit)


def _watched(block: ScoreBlock, ranking: str, queries: int, watch: Watch) -> ScoreBlock:
    def watched(start: int, stop: int) -> Array:
        watch(ranking, start, queries)
        return block(start, stop)

    return watched
