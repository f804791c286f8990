"""The smallest entries of each row, against a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.evaluation.reranking.smallest import SmallestOfRows

RULES = settings(deadline=None, derandomize=True, max_examples=60)


def offered(matrix, count, edges, order, transposed):
    """The smallest, from tiles between the edges, in some order, each transposed in memory or not."""
    rows, columns = matrix.shape
    smallest = SmallestOfRows(rows, count)
    tiles = [
        (slice(top, bottom), slice(left, right))
        for top, bottom in zip([0, *edges], [*edges, rows], strict=True)
        for left, right in zip([0, *edges], [*edges, columns], strict=True)
    ]
    for number in order.permutation(len(tiles)):
        place = tiles[number]
        tile = np.asfortranarray(matrix[place]) if transposed else np.ascontiguousarray(matrix[place])
        smallest.offer(*place, tile)
    return smallest.sorted()


@RULES
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(12, 30),
    columns=st.integers(12, 40),
    count=st.integers(1, 12),
    edges=st.sets(st.integers(1, 11), max_size=4),
    levels=st.sampled_from([None, 5, 1]),
    transposed=st.booleans(),
)
def test_the_smallest_are_the_first_of_a_full_sort(seed, rows, columns, count, edges, levels, transposed):
    order = np.random.default_rng(seed)
    matrix = order.standard_normal((rows, columns)).astype(np.float32)
    if levels:
        matrix = np.round(matrix * levels) / levels  # ties, and zeros of both signs
    indices, values = offered(matrix, count, sorted(edges), order, transposed)
    expected = np.array([sorted(range(columns), key=lambda j: (row[j], j))[:count] for row in matrix])
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(matrix, expected, axis=1))


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, -3e38, 3e38])
def test_extreme_values_pass_unchanged(value):
    smallest = SmallestOfRows(1, 1)
    smallest.offer(slice(0, 1), slice(0, 1), np.array([[value]], np.float32))
    indices, values = smallest.sorted()
    assert (indices.item(), values.item()) == (0, np.float32(value))
