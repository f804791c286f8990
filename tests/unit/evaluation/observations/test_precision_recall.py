from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from dgreid.evaluation.labels import Candidates
from dgreid.evaluation.observations.precision_recall import interpolated_precision


def problem(seed, ties):
    """Scores of one query, its positives and its junk."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 60))
    scores = rng.integers(0, 4, size).astype(np.float32) if ties else rng.standard_normal(size).astype(np.float32)
    order = rng.permutation(size)
    positives = int(rng.integers(1, size))
    junk = int(rng.integers(0, size - positives + 1))
    return scores, Candidates(np.sort(order[:positives]), np.sort(order[positives : positives + junk]))


def by_definition(scores, sets):
    """The best precision of any threshold that reaches the recall, threshold by threshold."""
    counted = [k for k in range(len(scores)) if k not in sets.junk]
    curve = []
    for threshold in set(scores.tolist()):
        found = [k for k in counted if scores[k] >= threshold]
        right = sum(k in sets.positives for k in found)
        if found:
            curve.append((right, right / len(found)))
    total = len(sets.positives)
    return [max(precision for right, precision in curve if 100 * right >= level * total) for level in range(101)]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 10_000), st.booleans())
def test_it_is_the_best_precision_at_each_recall_or_a_higher_one(seed, ties):
    scores, sets = problem(seed, ties)
    found = interpolated_precision(scores, sets)
    assert found.shape == (101,)
    np.testing.assert_allclose(found, by_definition(scores, sets), rtol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_it_lies_on_the_upper_edge_of_the_usual_curve(seed):
    scores, sets = problem(seed, ties=False)
    counted = np.setdiff1d(np.arange(len(scores)), sets.junk)
    precision, recall, _ = precision_recall_curve(np.isin(counted, sets.positives), scores[counted])
    inner = slice(0, -1)  # scikit-learn adds a point (recall 0, precision 1) that no threshold has
    expected = [precision[inner][recall[inner] > level / 100 - 1e-9].max() for level in range(101)]
    np.testing.assert_allclose(interpolated_precision(scores, sets), expected, rtol=1e-12)


def test_a_small_case_by_hand():
    sets = Candidates(np.array([0, 3]), np.array([1]))
    found = interpolated_precision(np.array([0.9, 0.95, 0.8, 0.7, 0.1]), sets)
    np.testing.assert_allclose(found, [1.0] * 51 + [2 / 3] * 50)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_order_of_the_gallery_does_not_matter(seed):
    scores, sets = problem(seed, ties=True)
    order = np.random.default_rng(seed).permutation(len(scores))
    place = np.argsort(order)
    moved = Candidates(*(np.sort(place[columns]) for columns in sets))
    np.testing.assert_array_equal(interpolated_precision(scores[order], moved), interpolated_precision(scores, sets))
