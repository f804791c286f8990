"""Shared weights, against matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array

from dgreid.errors import InputError
from dgreid.evaluation.reranking.overlap import BYTES_OF_TERM, queries_at_once, shared_weights

RULES = settings(deadline=None, derandomize=True, max_examples=40)


def weights(seed, rows, columns, density):
    rng = np.random.default_rng(seed)
    return (rng.random((rows, columns)) * (rng.random((rows, columns)) < density)).astype(np.float32)


@RULES
@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(1, 6),
    gallery=st.integers(1, 12),
    neighbours=st.integers(1, 20),
    density=st.sampled_from([0.0, 0.2, 1.0]),
    terms=st.sampled_from([1, 7, 10_000]),
)
def test_the_smaller_weights_are_summed_however_many_terms_fit(seed, queries, gallery, neighbours, density, terms):
    left, right = weights(seed, queries, neighbours, density), weights(seed + 1, gallery, neighbours, density)
    memory_limit = 2 * terms * BYTES_OF_TERM / 2**20
    found = shared_weights(csr_array(left), csc_array(right), memory_limit)
    expected = np.minimum(left[:, None], right).sum(axis=2, dtype=np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_as_many_queries_at_once_as_fit():
    assert queries_at_once(1000, 256) == 64
    assert queries_at_once(2**20, 160) == 2
    with pytest.raises(InputError, match=r"memory_limit=79\.5: .* 1048576 gallery images needs 80 MiB; give .*=80"):
        queries_at_once(2**20, 79.5)
