"""Query expansion against plain loops and the laws it obeys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.expansion import average_query_expansion

RULES = settings(deadline=None, derandomize=True, max_examples=40)


def unit_vectors(seed, count, width=8):
    vectors = np.random.default_rng(seed).standard_normal((count, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def oracle(query, gallery, k, alpha):
    expanded = []
    for vector in query:
        similarities = [float(vector @ other) for other in gallery]
        best = sorted(range(len(gallery)), key=lambda j: (-similarities[j], j))[:k]
        total = vector + sum(max(similarities[j], 0.0) ** alpha * gallery[j] for j in best)
        expanded.append(total / np.sqrt(total @ total))
    return np.array(expanded)


@RULES
@given(
    seed=st.integers(0, 10_000),
    gallery_size=st.integers(1, 40),
    share=st.floats(0, 1),
    alpha=st.sampled_from([0.0, 1.0, 3.0, 2.5]),
)
def test_equals_plain_loops(seed, gallery_size, share, alpha):
    query, gallery = unit_vectors(seed, 7), unit_vectors(seed + 1, gallery_size)
    k = 1 + int(share * (gallery_size - 1))
    found = average_query_expansion(query, gallery, k, alpha)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, oracle(query, gallery, k, alpha), rtol=0, atol=1e-6)


def test_of_equal_images_the_first_is_taken():
    """Both images of the gallery are as similar; the first pulls one way."""
    query = np.array([[1.0, 0.0]])
    gallery = np.array([[0.6, 0.8], [0.6, -0.8]])
    np.testing.assert_allclose(average_query_expansion(query, gallery, 1), np.array([[2, 1]]) / np.sqrt(5))
    np.testing.assert_allclose(average_query_expansion(query, gallery[::-1], 1), np.array([[2, -1]]) / np.sqrt(5))


def test_images_that_are_not_similar_weigh_nothing_with_alpha():
    query, gallery = np.array([[1.0, 0.0]]), np.array([[-0.6, 0.8]])
    np.testing.assert_array_equal(average_query_expansion(query, gallery, 1, alpha=1), query)


def test_a_sum_that_vanishes_leaves_the_query():
    query = np.array([[1.0, 0.0]])
    np.testing.assert_array_equal(average_query_expansion(query, -query, 1), query)


def test_of_a_gallery_of_fewer_than_k_images_all_are_taken():
    query, gallery = unit_vectors(0, 4), unit_vectors(1, 3)
    expected = average_query_expansion(query, gallery, 3, alpha=2)
    np.testing.assert_array_equal(average_query_expansion(query, gallery, 50, alpha=2), expected)


def test_small_memory_gives_the_same():
    query, gallery = unit_vectors(0, 50), unit_vectors(1, 100)
    expected = average_query_expansion(query, gallery, 5)
    np.testing.assert_allclose(average_query_expansion(query, gallery, 5, memory_limit=0.02), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_results_are_float32_for_anything_less_than_float64(dtype):
    query, gallery = torch.from_numpy(unit_vectors(0, 4)).to(dtype), torch.from_numpy(unit_vectors(1, 20)).to(dtype)
    found = average_query_expansion(query, gallery, 5, alpha=3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, oracle(query.double().numpy(), gallery.double().numpy(), 5, 3), atol=1e-6)


@pytest.mark.parametrize(
    ("k", "alpha", "message"),
    [
        (0, 0, "k=0: give a whole number of gallery images to add to each query, 1 or more"),
        (1.5, 0, r"k=1\.5: give a whole number"),
        (3, -1, r"alpha=-1: give a number of 0 .* or more; 3 is usual"),
        (3, float("nan"), "alpha=nan"),
    ],
)
def test_options_out_of_range_are_refused(k, alpha, message):
    with pytest.raises(InputError, match=message):
        average_query_expansion(unit_vectors(0, 4), unit_vectors(1, 20), k, alpha)
