"""One pass over all pairs for everything that pictures of an evaluation need of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.block_sizes import MEMORY_LIMIT
from dgreid.evaluation.labels import Labels, Numbers, as_labels, candidates
from dgreid.evaluation.observations.pair_histograms import PairCounter, PairHistograms
from dgreid.evaluation.observations.precision_recall import RECALL_STEPS, interpolated_precision
from dgreid.evaluation.similarity import ScoreBlock, score_rows
from dgreid.types import SameCamera


class Survey(NamedTuple):
    """What one pass found.

    Attributes:
        precision: (101,) interpolated precision at recall 0, 0.01, ..., 1, the mean over queries with a match; NaN if
            there is none.
        pairs: histograms of all pairs.
        similarities: (len(rows), G) of the queries that were asked for.
    """

    precision: NDArray[np.float64]
    pairs: PairHistograms
    similarities: Numbers


def survey(
    block: ScoreBlock,
    query_labels: Labels,
    gallery_labels: Labels,
    rows: Sequence[int] = (),
    same_camera: SameCamera = "ignore",
    limits: tuple[float, float] = (-1.0, 1.0),
    memory_limit: float = MEMORY_LIMIT,
) -> Survey:
    """Precision over recall, histograms of similarities and the similarities of some queries.

    Args:
        block: as :func:`~dgreid.evaluation.ranking.evaluate_blocks` takes it.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        rows: the queries whose similarities are kept.
        same_camera: whether gallery images of the query's identity and camera are left out of precision and recall.
        limits: of the histograms; what lies outside is counted in the outermost bins.
        memory_limit: MiB for the blocks.

    Raises:
        InputError: shapes do not fit or a similarity is NaN.
    """
    queries, gallery = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    counter = PairCounter(np.asarray(gallery.cameras), limits)
    precisions = np.zeros(RECALL_STEPS + 1)
    valid = 0
    kept: dict[int, Numbers] = {}
    all_rows = score_rows(block, len(queries.identities), len(gallery.identities), memory_limit)
    sets_of_all = candidates(queries, gallery, same_camera)
    for row, (scores, sets, camera) in enumerate(zip(all_rows, sets_of_all, queries.cameras, strict=True)):
        counter.add(scores, int(camera), np.concatenate(sets))
        if sets.positives.size:
            precisions += interpolated_precision(scores, sets)
            valid += 1
        if row in rows:
            kept[row] = scores.copy()  # the next block may overwrite it
    mean = precisions / valid if valid else np.full_like(precisions, np.nan)
    similarities = np.stack([kept[row] for row in rows]) if rows else np.empty((0, len(gallery.identities)))
    return Survey(mean, counter.histograms(), similarities)
