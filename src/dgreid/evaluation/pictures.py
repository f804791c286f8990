"""The pictures of an evaluation: what they need of it, and the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.block_sizes import MEMORY_LIMIT
from dgreid.evaluation.figures import embedding_map, precision_recall_curves, ranked_gallery, similarity_histograms
from dgreid.evaluation.labels import Array
from dgreid.evaluation.observations.embedding_map import EmbeddingSample, sample_images
from dgreid.evaluation.observations.pair_histograms import PairHistograms
from dgreid.evaluation.observations.survey import survey
from dgreid.evaluation.ranked_lists import RankedQuery, labels_of, ranked_queries, telling_queries
from dgreid.evaluation.ranking import RetrievalResult
from dgreid.evaluation.similarity import ScoreBlock, matrix_blocks
from dgreid.types import ReIDRecord, SameCamera


class Observations(NamedTuple):
    """What the pictures of one evaluation show; small whatever the gallery's size.

    Attributes:
        precision: (101,) interpolated precision at recall 0, 0.01, ..., 1.
        pairs: histograms of similarities.
        ranked: ranked lists of a few telling queries.
        sample: some images for the map; None without embeddings.
    """

    precision: NDArray[np.float64]
    pairs: PairHistograms
    ranked: Sequence[RankedQuery]
    sample: EmbeddingSample | None


def observe(
    block: ScoreBlock,
    result: RetrievalResult,
    records: Sequence[ReIDRecord],
    embeddings: Array | None = None,
    same_camera: SameCamera = "ignore",
    limits: tuple[float, float] = (-1.0, 1.0),
    seed: int = 0,
    memory_limit: float = MEMORY_LIMIT,
) -> Observations:
    """Goes over all pairs once more, after the figures are known.

    Args:
        block: what the figures were computed from; see :func:`~dgreid.evaluation.ranking.evaluate_blocks`.
        result: the figures.
        records: the images of the queries, then of the gallery.
        embeddings: (N, D) of the same images, for the map.
        same_camera: the camera rule of the figures.
        limits: least and greatest similarity, for the histograms; those of unit vectors by default.
        seed: of the queries and images that are drawn.
        memory_limit: MiB for the blocks.

    Raises:
        InputError: shapes do not fit or a similarity is NaN.
    """
    count = len(result.valid)
    chosen = telling_queries(result, seed=seed)
    labels = labels_of(records[:count]), labels_of(records[count:])
    found = survey(block, *labels, list(chosen.values()), same_camera, limits, memory_limit)
    ranked = ranked_queries(chosen, result, matrix_blocks(found.similarities), records, same_camera=same_camera)
    sample = None if embeddings is None else sample_images(embeddings, records, count, seed=seed)
    return Observations(found.precision, found.pairs, ranked, sample)


def evaluation_pictures(
    folder: Path,
    observed: Mapping[str, Observations],
    read: Callable[[Path], NDArray[Any]] | None = None,
    similarity: str = "cosine similarity",
) -> list[Path]:
    """Draws precision over recall, histograms, ranked galleries and the map of embeddings.

    Args:
        folder: where the PNG files go: ``precision_recall.png`` and ``embeddings.png`` of all targets together,
            ``similarities_<target>.png`` and ``ranked_<target>.png`` of each.
        observed: what to draw, by target.
        read: from an image file to its pixels, (H, W, 3) uint8 RGB; None where the images are not at hand, which leaves
            ranked galleries out.
        similarity: what images were compared by, for the axis.

    Returns:
        The files.
    """
    pictures = [
        precision_recall_curves(
            {name: one.precision for name, one in observed.items()}, folder / "precision_recall.png"
        )
    ]
    for name, one in observed.items():
        pictures.append(similarity_histograms(one.pairs, folder / f"similarities_{name}.png", similarity))
        if read is not None:
            pictures.append(ranked_gallery(one.ranked, read, folder / f"ranked_{name}.png"))
    samples = {name: one.sample for name, one in observed.items() if one.sample is not None}
    if samples:
        pictures.append(embedding_map(samples, folder / "embeddings.png"))
    return pictures
