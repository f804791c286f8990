"""Query expansion: a query becomes the mean of itself and what it finds first.

No label is used: the images a query takes in may be of its own camera, which the figures later leave out.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT, block_ranges, queries_per_block
from dgreid.evaluation.labels import Array, Numbers, as_array, as_numbers
from dgreid.evaluation.reranking.smallest import SmallestOfRows
from dgreid.evaluation.similarity import checked_block, embedding_blocks


def average_query_expansion(
    query: Array, gallery: Array, k: int, alpha: float = 0.0, memory_limit: float = MEMORY_LIMIT
) -> Numbers:
    """Adds to each query its k most similar gallery images and brings the sum to unit length.

    An image weighs similarity^alpha, a negative similarity counting as 0; the query weighs 1. With ``alpha=0`` all
    weigh 1: average query expansion (Chum et al., ICCV 2007); above, alpha query expansion (Radenović et al., TPAMI
    2019). The k most similar are found in float32, ties by the smaller gallery index.

    Args:
        query: (Q, D) at unit length.
        gallery: (G, D) likewise.
        k: gallery images for each query; all of them where there are fewer.
        alpha: 0 or more; 3 is usual.
        memory_limit: MiB for the similarities of a block of queries and the work on them.

    Returns:
        (Q, D) new queries on the CPU, float64 if either input is, else float32. Where the sum vanishes, the query
        stays as it is.

    Raises:
        InputError: an option is out of range; the embeddings are not two matrices of one width, or not finite.
    """
    block = embedding_blocks(query, gallery)
    check_expansion(k, alpha)
    queries, found = as_numbers(as_array(query)), as_numbers(as_array(gallery))
    k = min(k, len(found))
    expanded = np.empty(queries.shape, np.result_type(queries, found))
    for start, stop in block_ranges(len(queries), queries_per_block(len(found), memory_limit / 2)):
        similarities = as_numbers(checked_block(block, start, stop, len(found)))
        weights = _weights(similarities, k, alpha)
        expanded[start:stop] = _unit_sums(queries[start:stop], weights @ found)
    return expanded


def _weights(similarities: Numbers, k: int, alpha: float) -> csr_array:
    """What each query adds of each gallery image: of the k most similar similarity^alpha, of the others nothing."""
    smallest = SmallestOfRows(len(similarities), k)
    everything = slice(0, len(similarities)), slice(0, similarities.shape[1])
    smallest.offer(*everything, np.negative(similarities, dtype=np.float32))
    columns, negated = smallest.sorted()
    weights = np.maximum(-negated, 0) ** np.float32(alpha)
    return csr_array((weights.ravel(), columns.ravel(), np.arange(0, columns.size + 1, k)), shape=similarities.shape)


def _unit_sums(queries: Numbers, added: Numbers) -> Numbers:
    sums = queries + added
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), queries)


def check_expansion(k: int, alpha: float) -> None:
    """Refuses options that no set of images fits.

    Raises:
        InputError: as said.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"k={k}: give a whole number of gallery images to add to each query, 1 or more; 5 is usual")
    if not 0 <= alpha < np.inf:
        raise InputError(f"alpha={alpha}: give a number of 0 (all weigh the same) or more; 3 is usual")
