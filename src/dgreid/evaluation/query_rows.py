"""Queries one after another, for figures that look at each query on its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT
from dgreid.evaluation.labels import Candidates, Labels, Numbers, as_labels, candidates
from dgreid.evaluation.similarity import ScoreBlock, score_rows
from dgreid.types import SameCamera


class QueryRows:
    """Each query's similarities to the gallery, with the gallery images of its identity, in one pass over blocks.

    Args:
        block: similarities, a block of queries at a time; larger is more similar.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        same_camera: whether gallery images of the query's identity and camera are junk (``ignore``) or matches
            (``keep``).
        memory_limit: MiB for a block of similarities and the work on it.

    Attributes:
        query_identities: (Q,).
        query_cameras: (Q,).
        gallery_identities: (G,).
        gallery_cameras: (G,).

    Raises:
        InputError: labels are not integers, or not as many identities as cameras.
    """

    query_identities: NDArray[np.int64]
    query_cameras: NDArray[np.int64]
    gallery_identities: NDArray[np.int64]
    gallery_cameras: NDArray[np.int64]

    def __init__(
        self,
        block: ScoreBlock,
        query_labels: Labels,
        gallery_labels: Labels,
        same_camera: SameCamera = "ignore",
        memory_limit: float = MEMORY_LIMIT,
    ) -> None:
        self._block, self._same_camera, self._memory_limit = block, same_camera, memory_limit
        self.query_identities, self.query_cameras = map(np.asarray, as_labels(query_labels, "query"))
        self.gallery_identities, self.gallery_cameras = map(np.asarray, as_labels(gallery_labels, "gallery"))

    def __len__(self) -> int:
        """The number of queries."""
        return self.query_identities.size

    def __iter__(self) -> Iterator[tuple[Numbers, Candidates]]:
        """Similarities (G,), which hold only until the next query and belong to the block, and positives and junk.

        Raises:
            InputError: the gallery is empty, a block has the wrong shape or holds NaN, ``same_camera`` is no rule, or
                the memory is too small.
        """
        rows = score_rows(self._block, len(self), self.gallery_identities.size, self._memory_limit)
        for sets, scores in zip(self._candidates(), rows, strict=True):
            yield scores, sets

    def require_match(self) -> None:
        """Refuses, before anything is computed, queries of which none has a match.

        Raises:
            InputError: as said, or ``same_camera`` is no rule.
        """
        if not any(sets.positives.size for sets in self._candidates()):
            raise InputError(
                f"none of the {len(self)} queries has a match in the gallery; "
                "check identities and cameras, or mark unknown cameras with -1"
            )

    def _candidates(self) -> Iterator[Candidates]:
        queries = Labels(self.query_identities, self.query_cameras)
        return candidates(queries, Labels(self.gallery_identities, self.gallery_cameras), self._same_camera)
