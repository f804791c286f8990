"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) as its formulas read: matrices over all images, loops over images.

What bench_rerank.py compares with. Distances are in float32, every row of neighbours is sorted as a whole.
"""

from __future__ import annotations

import numpy as np


def squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """|x|^2 + |y|^2 - 2 x y."""
    distances = -2 * (left @ right.T)
    distances += np.square(left).sum(axis=1)[:, None]
    distances += np.square(right).sum(axis=1)
    return distances


def rerank(
    query_gallery: np.ndarray,
    query_query: np.ndarray,
    gallery_gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
) -> np.ndarray:
    """(Q, G) final distances from given ones, which are squared."""
    queries = len(query_gallery)
    distances = np.block([[query_query, query_gallery], [query_gallery.T, gallery_gallery]])
    distances = np.square(distances).astype(np.float32)
    distances = np.transpose(distances / distances.max(axis=0))
    ranks = np.argsort(distances).astype(np.int32)
    vectors = neighbour_vectors(distances, ranks, k1)
    distances = distances[:queries]
    if k2 != 1:
        averaged = np.zeros_like(vectors)
        for i in range(len(vectors)):
            averaged[i] = vectors[ranks[i, :k2]].mean(axis=0)
        vectors = averaged
    del ranks
    jaccard = jaccard_distances(vectors, queries)
    return ((1 - weight) * jaccard + weight * distances)[:, queries:]


def neighbour_vectors(distances: np.ndarray, ranks: np.ndarray, k1: int) -> np.ndarray:
    """(N, N) weights of each image's k-reciprocal neighbours, with those that join."""
    vectors = np.zeros_like(distances)
    for i in range(len(ranks)):
        own = reciprocal(ranks, i, k1)
        members = [own]
        for j in own:
            theirs = reciprocal(ranks, j, int(np.around(k1 / 2)))
            if len(np.intersect1d(theirs, own)) > 2 / 3 * len(theirs):
                members.append(theirs)
        found = np.unique(np.concatenate(members))
        weights = np.exp(-distances[i, found])
        vectors[i, found] = weights / weights.sum()
    return vectors


def reciprocal(ranks: np.ndarray, i: int, k: int) -> np.ndarray:
    """Which of the k + 1 nearest of image i have it among theirs."""
    forward = ranks[i, : k + 1]
    backward = ranks[forward, : k + 1]
    return forward[(backward == i).any(axis=1)]


def jaccard_distances(vectors: np.ndarray, queries: int) -> np.ndarray:
    """(Q, N) from the sum of the smaller weights; images with a neighbour are listed once for each."""
    holders = [np.flatnonzero(vectors[:, j]) for j in range(len(vectors))]
    jaccard = np.zeros((queries, len(vectors)), dtype=np.float32)
    for i in range(queries):
        shared = np.zeros(len(vectors), dtype=np.float32)
        for j in np.flatnonzero(vectors[i]):
            shared[holders[j]] += np.minimum(vectors[i, j], vectors[holders[j], j])
        jaccard[i] = 1 - shared / (2 - shared)
    return jaccard
