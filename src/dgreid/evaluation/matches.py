"""The most similar gallery images of a query: what a person looks at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.labels import Array, Labels, Numbers, as_labels, candidates, require_row_each
from dgreid.evaluation.similarity import embedding_blocks, score_rows

NO_MATCH = -1


class Matches(NamedTuple):
    """Ranked lists, best first; ties by the smaller gallery index.

    Attributes:
        indices: (Q, k) gallery indices, -1 behind the end of a gallery with fewer than k images.
        scores: (Q, k) similarities, -inf where there is no image.
        correct: (Q, k) whether the identity is the query's.
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float64]
    correct: NDArray[np.bool_]


def top_matches(query: Array, gallery: Array, query_labels: Labels, gallery_labels: Labels, k: int = 10) -> Matches:
    """The k best gallery images of each query, without those of its identity and camera, as in the figures.

    Args:
        query: (Q, D) embeddings at unit length.
        gallery: (G, D) likewise.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        k: length of the lists.

    Raises:
        InputError: shapes do not fit or a value is not finite.
    """
    require_row_each(query, query_labels, "query")
    require_row_each(gallery, gallery_labels, "gallery")
    queries, targets = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    count = len(queries.identities)
    indices = np.full((count, k), NO_MATCH, dtype=np.int64)
    scores = np.full((count, k), -np.inf)
    rows = score_rows(embedding_blocks(query, gallery), count, len(targets.identities))
    for position, (row, sets) in enumerate(zip(rows, candidates(queries, targets), strict=True)):
        best = _best(row, sets.junk, k)
        indices[position, : best.size] = best
        scores[position, : best.size] = row[best]
    found_identities = np.asarray(targets.identities)[indices]
    correct = (found_identities == np.asarray(queries.identities)[:, None]) & (indices != NO_MATCH)
    return Matches(indices, scores, correct)


def _best(row: Numbers, junk: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Up to k columns by (score descending, column ascending), without junk."""
    allowed = np.ones(row.size, dtype=bool)
    allowed[junk] = False
    columns = np.flatnonzero(allowed)
    if columns.size > k:
        threshold = np.partition(row[columns], -k)[-k]
        columns = columns[row[columns] >= threshold]
    return columns[np.argsort(-row[columns], kind="stable")][:k]
