"""How much weight a query and a gallery image put on the same neighbours: the sum of the smaller of the two."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from dgreid.errors import InputError

BYTES_OF_SUM = 40  # of a query and a gallery image, in float64, with what is computed from it
BYTES_OF_TERM = 64  # where its weights are stored and where it is added, both weights
MOST_QUERIES = 64  # more are no faster


def queries_at_once(gallery_size: int, memory_limit: float) -> int:
    """How many queries' sums fit in half of the memory; the other half is for the terms.

    Args:
        gallery_size: number of gallery images.
        memory_limit: MiB.

    Raises:
        InputError: not even one query fits.
    """
    each = 2 * BYTES_OF_SUM * gallery_size / 2**20
    if not memory_limit >= each:
        needed = math.ceil(each)
        raise InputError(
            f"memory_limit={memory_limit:g}: re-ranking one query against {gallery_size} gallery images needs "
            f"{needed} MiB; give memory_limit={needed} or more"
        )
    return int(min(MOST_QUERIES, memory_limit // each))


def shared_weights(query: csr_array, gallery: csc_array, memory_limit: float) -> NDArray[np.float64]:
    """Sums of the smaller weights, over the neighbours that two images share.

    Args:
        query: (Q, N) weights of each query's neighbours.
        gallery: (G, N) likewise.
        memory_limit: MiB; half of it bounds the terms that are computed at once.

    Returns:
        (Q, G).
    """
    shape = query.shape[0], gallery.shape[0]
    sums = np.zeros(shape[0] * shape[1])
    lines = np.repeat(np.arange(shape[0]) * shape[1], np.diff(query.indptr))
    counts = np.diff(gallery.indptr)[query.indices].astype(np.int64)  # gallery images with that neighbour
    ends = np.cumsum(counts)
    most = int(memory_limit * 2**19 // BYTES_OF_TERM)
    first = 0
    while first < counts.size:
        last = max(first + 1, int(np.searchsorted(ends, ends[first] - counts[first] + most, "right")))
        part = slice(first, last)
        # The entries of the columns, one column after the other.
        begins = gallery.indptr[query.indices[part]] - (ends[part] - counts[part])
        entries = np.repeat(begins, counts[part]) + np.arange(ends[first] - counts[first], ends[last - 1])
        places = np.repeat(lines[part], counts[part]) + gallery.indices[entries]
        smaller = np.minimum(np.repeat(query.data[part], counts[part]), gallery.data[entries])
        sums += np.bincount(places, smaller, sums.size)
        first = last
    return sums.reshape(shape)
