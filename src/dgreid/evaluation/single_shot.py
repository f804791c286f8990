"""The CMC of a single gallery shot, as the classic protocol of CUHK03 reports it (Li et al., CVPR 2014).

Of each identity one gallery image is drawn, so that a query's match stands among as many images as there are
identities; its rank is averaged over repeated draws. Figures of this protocol are not comparable with the CMC of
the whole gallery: fewer images stand before the match, but a match has only one chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.query_rows import QueryRows
from dgreid.evaluation.ranking import CMC_RANKS
from dgreid.evaluation.similarity import ScoreBlock
from dgreid.types import SameCamera

REPEATS = 10


class SingleShotResult(NamedTuple):
    """How well queries find their identity among one image of each.

    Attributes:
        cmc: (50,) share of draws in which a valid query's match stands at rank 1, ≤ 2, ..., ≤ 50.
        repeat_cmc: (repeats, 50) the same for each repeat; ``cmc`` is their mean.
        queries: valid queries.
    """

    cmc: NDArray[np.float64]
    repeat_cmc: NDArray[np.float64]
    queries: int

    def summary(self) -> dict[str, float | int]:
        """The usual ranks, how far rank 1 scatters over repeats (standard deviation), and how many there were."""
        return {
            "single_shot_rank1": float(self.cmc[0]),
            "single_shot_rank5": float(self.cmc[4]),
            "single_shot_rank10": float(self.cmc[9]),
            "single_shot_rank1_deviation": float(self.repeat_cmc[:, 0].std()),
            "single_shot_repeats": len(self.repeat_cmc),
            "single_shot_queries": self.queries,
        }


def evaluate_single_shot(
    block: ScoreBlock,
    query_labels: Labels,
    gallery_labels: Labels,
    repeats: int = REPEATS,
    seed: int = 0,
    same_camera: SameCamera = "ignore",
    memory_limit: float = MEMORY_LIMIT,
) -> SingleShotResult:
    """The mean CMC over repeats, in each of which one gallery image of each identity is drawn.

    A repeat puts the gallery into a random order; what is drawn of an identity is its first image that the camera rule
    leaves to the query. For each query the draw is uniform and independent between identities, so the expectation is
    that of a fresh draw for each query. Queries of one repeat share their draws: these depend on seed, repeat and
    gallery alone, neither on blocks nor on which queries there are and in what order. More repeats add to the former
    ones and leave these as they were.

    Args:
        block: similarities, a block of queries at a time; larger is more similar. Ties go to the smaller gallery index.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        repeats: at least 1; widely used implementations of the protocol draw 10 times.
        seed: of the draws, 0 or more.
        same_camera: whether gallery images of the query's identity and camera are never drawn (``ignore``) or are
            matches like others (``keep``).
        memory_limit: MiB for a block of similarities.

    Raises:
        InputError: fewer than 1 repeat, a negative seed, shapes do not fit, a similarity is NaN, or no query has a
            match.
    """
    if repeats < 1:
        raise InputError(f"repeats={repeats}: draw at least once; {REPEATS} is usual")
    if seed < 0:
        raise InputError(f"seed={seed}: give 0 or more")
    rows = QueryRows(block, query_labels, gallery_labels, same_camera, memory_limit)
    rows.require_match()
    identities = rows.gallery_identities
    orders = random_orders(identities.size, repeats, seed)
    places = np.argsort(orders, axis=1)
    drawn = np.stack([first_of_each(identities, order) for order in orders])
    own_column = np.searchsorted(np.unique(identities), rows.query_identities)

    ranks = []
    for (scores, (positives, _)), own in zip(rows, own_column, strict=True):
        if not positives.size:
            continue
        match = positives[places[:, positives].argmin(axis=1)][:, None]
        others, own_score = scores[drawn], scores[match]
        before = (others > own_score) | ((others == own_score) & (drawn < match))
        before[:, own] = False
        ranks.append(1 + before.sum(axis=1))
    repeat_cmc = np.mean(np.array(ranks)[:, :, None] <= np.arange(1, CMC_RANKS + 1), axis=0)
    return SingleShotResult(repeat_cmc.mean(axis=0), repeat_cmc, len(ranks))


def random_orders(size: int, repeats: int, seed: int) -> NDArray[np.int64]:
    """A random order of the gallery for each repeat: (repeats, size) gallery indices, a function of (seed, repeat)."""
    return np.stack([np.random.default_rng((seed, repeat)).permutation(size) for repeat in range(repeats)])


def first_of_each(identities: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The gallery index of each identity's first image in an order, by ascending identity."""
    _, first = np.unique(identities[order], return_index=True)
    return order[first]
