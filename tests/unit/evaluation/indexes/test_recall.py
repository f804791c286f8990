"""Recall against sets, and a probe against a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.indexes.recall import RecallProbe, recall

RULES = settings(deadline=None, derandomize=True, max_examples=40)


@RULES
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_recall_counts_shared_neighbours(seed, k):
    rng = np.random.default_rng(seed)
    found, exact = (np.stack([rng.permutation(12)[:8] for _ in range(9)]) for _ in range(2))
    found[rng.random(found.shape) < 0.2] = -1
    expected = sum(len(set(a[:k].tolist()) & set(b[:k].tolist())) for a, b in zip(found, exact, strict=True))
    assert recall(found, exact, k) == pytest.approx(expected / (9 * k), abs=1e-12)


def test_only_as_many_as_are_asked_for_count():
    assert recall(np.array([[5, 1, 2]]), np.array([[1, 5, 9]]), 1) == 0
    assert recall(np.array([[5, 1, 2]]), np.array([[1, 5, 9]]), 2) == 1
    assert recall(np.array([[5, 1, 2]]), np.array([[1, 5, 9, 7]]), 3) == pytest.approx(2 / 3)


@RULES
@given(st.integers(0, 10_000), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_a_probe_knows_the_exact_neighbours_of_all_that_was_offered(seed, lengths):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((20 + sum(lengths), 6)).astype(np.float32)
    probe = RecallProbe.draw(vectors[:20], 7)
    start = 0
    for length in (20, *lengths):
        scores = probe.vectors @ vectors[start : start + length].T
        order = np.argsort(-scores, axis=1)[:, :11]
        probe.offer(np.take_along_axis(scores, order, axis=1), order + start)
        start += length
    scores = vectors[probe.own] @ vectors.T
    scores[np.arange(7), probe.own] = -np.inf
    np.testing.assert_array_equal(probe.indices, np.argsort(-scores, axis=1)[:, :10])
    itself_first = np.hstack([probe.own[:, None], probe.indices])
    assert probe.measure(itself_first) == (1.0, 1.0, 7)
    assert probe.measure(np.hstack([probe.indices, probe.own[:, None]])) == (1.0, 1.0, 7)
    assert probe.measure(np.hstack([probe.own[:, None], probe.indices[:, ::-1]])) == (0.0, 1.0, 7)
    assert probe.measure(np.where(np.arange(11) < 4, itself_first, -1))[:2] == (1.0, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("found", "exact", "k", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 3)), 1, "of the same queries"),
        (np.zeros((0, 3)), np.zeros((0, 3)), 1, "of the same queries"),
        (np.zeros((2, 3)), np.zeros((2, 2)), 3, "k=3: the lists have 3 and 2 neighbours"),
        (np.zeros((2, 3)), np.zeros((2, 2)), 0, "k=0"),
    ],
)
def test_what_is_refused(found, exact, k, message):
    with pytest.raises(InputError, match=message):
        recall(found, exact, k)
