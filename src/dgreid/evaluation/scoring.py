"""The choices of an evaluation: how embeddings are compared, and which figures are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dgreid.errors import InputError, check_one_of
from dgreid.evaluation.block_sizes import MEMORY_LIMIT, queries_per_block
from dgreid.evaluation.camera_pairs import evaluate_camera_pairs
from dgreid.evaluation.expansion import average_query_expansion, check_expansion
from dgreid.evaluation.labels import Array, CandidateLists, Labels, as_labels
from dgreid.evaluation.ranking import RetrievalResult, evaluate_blocks
from dgreid.evaluation.reranking import reranked_blocks
from dgreid.evaluation.reranking.distances import Distance
from dgreid.evaluation.reranking.k_reciprocal import check_reranking
from dgreid.evaluation.reranking.overlap import queries_at_once
from dgreid.evaluation.similarity import ScoreBlock, embedding_blocks
from dgreid.evaluation.single_shot import evaluate_single_shot
from dgreid.evaluation.verification import RATES, evaluate_verification
from dgreid.types import SameCamera

COSINE, EXPANDED, RERANKED = "cosine", "expanded", "re-ranked"
OPEN_SET_RATES = (0.01, 0.05, 0.1)


@dataclass(frozen=True)
class Expansion:
    """Query expansion; see :func:`~dgreid.evaluation.expansion.average_query_expansion`.

    Args:
        k: gallery images that a query is averaged with.
        alpha: power of their similarity that weighs them; 0 for the plain mean.

    Raises:
        InputError: a value outside its range.
    """

    k: int = 10
    alpha: float = 3.0

    def __post_init__(self) -> None:
        check_expansion(self.k, self.alpha)


@dataclass(frozen=True)
class Reranking:
    """k-reciprocal re-ranking; see :func:`~dgreid.evaluation.reranking.k_reciprocal.reranked_blocks`.

    Args:
        k1: neighbours that may be reciprocal.
        k2: neighbours whose neighbour sets are averaged.
        weight: of the original distance, 0..1.
        distance: ``euclidean``, or ``squared`` as in the releases' code.

    Raises:
        InputError: a value outside its range.
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3
    distance: Distance = "euclidean"

    def __post_init__(self) -> None:
        check_reranking(self.k1, self.k2, self.weight)
        check_one_of("reranking.distance", self.distance, get_args(Distance))


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How an evaluation compares and what it counts.

    Args:
        flip: whether embeddings are averaged with those of the mirrored images; for whoever embeds.
        same_camera: whether gallery images of the query's identity and camera are left out (``ignore``) or are matches
            (``keep``).
        search: ``blocks`` of matrix products, or faiss's exact index (``faiss``), with the same result.
        memory_limit: MiB that blocks of similarities may take.
        expansion: adds a ranking by expanded queries.
        reranking: adds a re-ranking, of the expanded queries if there are any.
        false_accept_rates: where the ROC is read, between 0 and 1; none for no ROC.
        open_set_rates: wanted shares of people outside the gallery who are taken for somebody, 0..1, for thresholds
            that are taken from held-out people.
        single_shot_repeats: draws of one gallery image of each identity for the CMC of a single shot; 0 for none.
        camera_pairs: whether figures of each pair of cameras are taken.

    Raises:
        InputError: a value outside its range.
    """

    flip: bool = False
    same_camera: SameCamera = "ignore"
    search: Literal["blocks", "faiss"] = "blocks"
    memory_limit: float = MEMORY_LIMIT
    expansion: Expansion | None = None
    reranking: Reranking | None = None
    false_accept_rates: Sequence[float] = RATES
    open_set_rates: Sequence[float] = OPEN_SET_RATES
    single_shot_repeats: int = 0
    camera_pairs: bool = False

    def __post_init__(self) -> None:
        check_one_of("metric.same_camera", self.same_camera, ("ignore", "keep"))
        check_one_of("metric.search", self.search, ("blocks", "faiss"))
        for name in ("flip", "camera_pairs"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"metric.{name}={getattr(self, name)}: true or false")
        if not self.memory_limit > 0:
            raise InputError(f"metric.memory_limit={self.memory_limit}: MiB for blocks of similarities, e.g. 256")
        if self.single_shot_repeats < 0:
            raise InputError(f"metric.single_shot_repeats={self.single_shot_repeats}: how many draws, 0 for none")
        _check_rates("metric.false_accept_rates", self.false_accept_rates)
        _check_rates("metric.open_set_rates", self.open_set_rates)

    def check_sets(self, query_labels: Labels, gallery_labels: Labels) -> None:
        """Refuses, before anything is embedded, sets that could not be scored.

        Raises:
            InputError: labels that are not integers, or not as many identities as cameras; or the memory is too small.
        """
        queries, gallery = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
        size = len(gallery.identities)
        queries_per_block(size, self.memory_limit, CandidateLists(queries, gallery, self.same_camera).longest)
        if self.reranking is not None:
            queries_at_once(size, self.memory_limit)

    def blocks(self, query: Array, gallery: Array) -> ScoreBlock:
        """Cosine similarities of unit embeddings (Q, D) and (G, D), a block of queries at a time."""
        if self.search == "faiss":
            from dgreid.evaluation.neighbours import faiss_blocks  # a large library, loaded where it is asked for

            return faiss_blocks(query, gallery)
        return embedding_blocks(query, gallery)

    def rankings(self, query: Array, gallery: Array) -> Iterator[tuple[str, ScoreBlock]]:
        """Each ranking asked for, the plain one first: its name, and similarities a block of queries at a time."""
        yield COSINE, self.blocks(query, gallery)
        if self.expansion is not None:
            query = average_query_expansion(query, gallery, self.expansion.k, self.expansion.alpha, self.memory_limit)
            yield EXPANDED, self.blocks(query, gallery)
        if self.reranking is not None:
            chosen = self.reranking
            label = RERANKED if self.expansion is None else f"{EXPANDED}, {RERANKED}"
            limit = self.memory_limit
            yield (
                label,
                reranked_blocks(query, gallery, chosen.k1, chosen.k2, chosen.weight, chosen.distance, limit),
            )

    def score(self, block: ScoreBlock, query_labels: Labels, gallery_labels: Labels) -> RetrievalResult:
        """mAP, CMC and mINP of one ranking."""
        return evaluate_blocks(
            block, query_labels, gallery_labels, same_camera=self.same_camera, memory_limit=self.memory_limit
        )

    def figures(self, block: ScoreBlock, query_labels: Labels, gallery_labels: Labels) -> dict[str, Any]:
        """What is asked for besides, by name: ``verification``, ``single_shot``, ``camera_pairs``."""
        labels = (query_labels, gallery_labels)
        rule: dict[str, Any] = {"same_camera": self.same_camera, "memory_limit": self.memory_limit}
        found: dict[str, Any] = {}
        if self.false_accept_rates:
            found["verification"] = evaluate_verification(block, *labels, self.false_accept_rates, **rule).summary()
        if self.single_shot_repeats:
            found["single_shot"] = evaluate_single_shot(block, *labels, self.single_shot_repeats, **rule).summary()
        if self.camera_pairs:
            found["camera_pairs"] = evaluate_camera_pairs(block, *labels, **rule).summary()
        return found


def _check_rates(key: str, rates: Sequence[float]) -> None:
    for rate in rates:
        if not 0 < rate < 1:
            raise InputError(f"{key}={list(rates)}: {rate} is no rate; give numbers between 0 and 1, e.g. 0.01")
