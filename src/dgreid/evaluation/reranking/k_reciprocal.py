"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) in blocks of queries: no matrix over all images is made.

The final distance of a query to a gallery image is a mean of two: (1 - weight) times the Jaccard distance of their
sets of k-reciprocal neighbours, and weight times their original distance, squared and divided by the query's largest
to any image. Neighbours are sought among queries and gallery together; no label is used.

Two original distances are in use, named by what goes into the procedure, which squares it:

* ``euclidean``: |x - y|. Images are weighed by |x - y|^2, a Mahalanobis distance (x - y)^T M (x - y) as the paper has.
* ``squared``: |x - y|^2. Images are weighed by |x - y|^4: the M3L and IL releases square their squared distances.

Both order neighbours alike; the weights of neighbours and the mean differ.
"""

from __future__ import annotations

import numpy as np

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT, block_ranges
from dgreid.evaluation.labels import Array, Numbers
from dgreid.evaluation.reranking.distances import Distance, Distances, EmbeddingDistances, MatrixDistances
from dgreid.evaluation.reranking.overlap import queries_at_once, shared_weights
from dgreid.evaluation.reranking.reciprocal import nearest_images, neighbour_vectors
from dgreid.evaluation.similarity import ScoreBlock


def reranked_blocks(
    query: Array,
    gallery: Array,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    distance: Distance = "euclidean",
    memory_limit: float = MEMORY_LIMIT,
) -> ScoreBlock:
    """Re-ranked similarities from embeddings, for :func:`~dgreid.evaluation.ranking.evaluate_blocks`.

    Neighbours are sought here, which costs the matrix product of half of all pairs of images. A block then costs the
    product of its queries with the gallery, and little more.

    Args:
        query: (Q, D). Distances are float64 if either side is, else float32. On a GPU the products are computed
            there, all else on the CPU.
        gallery: (G, D) likewise.
        k1: neighbours are sought among an image's k1 nearest, besides itself.
        k2: over the vectors of how many nearest images, itself included, is averaged; 1 leaves it out. Where there are
            fewer than k1 + 1 or k2 images, all are taken.
        weight: of the original distance, 0..1.
        distance: ``euclidean`` or ``squared``, see above.
        memory_limit: MiB of temporary arrays in the search and for a block, the block itself not counted. What is
            kept of each image, about 1 kB with these k1 and k2, is not counted either, nor is a copy of half precision
            embeddings in float32.

    Returns:
        Negated final distances, float32, so that larger is more similar; each block is a new array.

    Raises:
        InputError: an option is out of range; the embeddings are not two matrices of one width, or not finite.
    """
    check_reranking(k1, k2, weight)
    return _blocks(EmbeddingDistances(query, gallery, distance), k1, k2, weight, memory_limit)


def reranked_matrix_blocks(
    query_gallery: Array,
    query_query: Array,
    gallery_gallery: Array,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    memory_limit: float = MEMORY_LIMIT,
) -> ScoreBlock:
    """Re-ranked similarities from given distances of any kind, which the procedure squares.

    Args:
        query_gallery: (Q, G) distances, not negative.
        query_query: (Q, Q) likewise.
        gallery_gallery: (G, G) likewise.
        k1: as in :func:`reranked_blocks`.
        k2: likewise.
        weight: likewise.
        memory_limit: likewise.

    Returns:
        As :func:`reranked_blocks`.

    Raises:
        InputError: an option is out of range, shapes do not fit each other, or a distance is not finite.
    """
    check_reranking(k1, k2, weight)
    return _blocks(MatrixDistances(query_gallery, query_query, gallery_gallery), k1, k2, weight, memory_limit)


def _blocks(distances: Distances, k1: int, k2: int, weight: float, memory_limit: float) -> ScoreBlock:
    queries, gallery = distances.queries, slice(distances.queries, distances.size)
    at_once = queries_at_once(distances.size - queries, memory_limit)
    nearest = nearest_images(distances, min(max(k1 + 1, k2), distances.size), memory_limit)
    vectors = neighbour_vectors(nearest, distances, k1, k2)
    of_queries, of_gallery = vectors[:queries], vectors[queries:].tocsc()
    scales = np.float32(-weight) / nearest.farthest[:queries, None]

    def block(start: int, stop: int) -> Numbers:
        scores = distances.tile(slice(start, stop), gallery)
        scores *= scales[start:stop]
        for first, last in block_ranges(stop - start, at_once):
            shared = shared_weights(of_queries[start + first : start + last], of_gallery, memory_limit)
            shared /= 2 - shared  # the weights of either vector sum to 1, so those of their union to 2 - shared
            scores[first:last] -= (1 - weight) * (1 - shared)
        return scores

    return block


def check_reranking(k1: int, k2: int, weight: float) -> None:
    """Refuses options out of their range.

    Raises:
        InputError: as said.
    """
    for name, value in (("k1", k1), ("k2", k2)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InputError(f"{name}={value}: give a whole number of images, 1 or more (the paper: k1=20, k2=6)")
    if not 0 <= weight <= 1:
        raise InputError(
            f"weight={weight}: give the share of the original distance, from 0 (sets of neighbours alone) to 1"
        )
