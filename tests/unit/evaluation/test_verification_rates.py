"""Verification against a sort of all pairs, and its limits."""

from __future__ import annotations

import json
import tracemalloc
from functools import partial

import numpy as np
import pytest
import retrieval_problems
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation import block_sizes, verification
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.similarity import embedding_blocks, matrix_blocks
from dgreid.evaluation.verification import LargestScores, evaluate_verification

RULES = settings(deadline=None, derandomize=True, max_examples=40)
problem = partial(retrieval_problems.problem, unknown=True, dtype=np.float32)


def pairs(scores, query, gallery, same_camera):
    """Genuine and impostor scores by a loop over all pairs."""
    genuine, impostors = [], []
    for i, j in np.ndindex(scores.shape):
        if query.identities[i] != gallery.identities[j]:
            impostors.append(scores[i, j])
        elif same_camera == "keep" or query.cameras[i] == -1 or query.cameras[i] != gallery.cameras[j]:
            genuine.append(scores[i, j])
    return np.array(genuine), np.array(impostors)


@RULES
@given(st.integers(0, 10_000), st.sampled_from([None, 4, 1]), st.sampled_from(["ignore", "keep"]))
def test_the_threshold_is_the_smallest_that_keeps_the_rate(seed, levels, same_camera):
    scores, query, gallery = problem(seed, levels=levels)
    rates = (0.3, 0.05, 0.01)
    result = evaluate_verification(matrix_blocks(scores), query, gallery, rates, same_camera)
    genuine, impostors = pairs(scores, query, gallery, same_camera)
    assert (result.genuine_pairs, result.impostor_pairs) == (genuine.size, impostors.size)
    every = np.unique(np.concatenate([genuine, impostors]))
    for rate, point in zip(rates, result.points, strict=True):
        fitting = [t for t in [*every, np.inf] if np.mean(impostors >= t) <= rate]
        smallest = min(fitting)
        assert point.rate == rate
        assert point.true_accept_rate == np.mean(genuine >= smallest)
        assert point.false_accept_rate == np.mean(impostors >= smallest) <= rate
        below = np.nextafter(np.float32(point.threshold), np.float32(-np.inf))
        assert np.mean(impostors >= np.float32(point.threshold)) <= rate < np.mean(impostors >= below)
        assert point.threshold <= smallest


@RULES
@given(
    st.integers(1, 40),
    st.lists(st.lists(st.sampled_from([-np.inf, -2.0, 0.0, 0.5, 0.5000001, 3.0]), max_size=60), max_size=12),
)
def test_the_largest_scores_are_those_of_a_full_sort(count, batches):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "SPARE_SCORES", 3)
        kept = LargestScores(count, np.float64)
        for batch in batches:
            added = np.array(batch, dtype=np.float64)
            kept.add(added[added > kept.floor])
        everything = sorted([score for batch in batches for score in batch] + [-np.inf] * count, reverse=True)
        assert kept.descending().tolist() == everything[:count]


def test_a_buffer_that_is_cleared_often_gives_the_same(monkeypatch):
    scores, query, gallery = problem(1, queries=80, gallery=300, levels=50)
    whole = evaluate_verification(matrix_blocks(scores), query, gallery)
    dropped = []
    drop = LargestScores._drop_smallest
    monkeypatch.setattr(verification, "SPARE_SCORES", 1)
    monkeypatch.setattr(LargestScores, "_drop_smallest", lambda self: (dropped.append(1), drop(self)))
    monkeypatch.setattr(block_sizes, "BLOCK_QUERIES", 7)
    assert evaluate_verification(matrix_blocks(scores), query, gallery) == whole
    assert len(dropped) > 5


def test_only_the_largest_impostor_scores_are_kept():
    rng = np.random.default_rng(0)
    query, gallery = (Labels(rng.integers(0, 500, size), np.full(size, -1)) for size in (1000, 20_000))

    def block(start, stop):
        return rng.random((stop - start, 20_000), dtype=np.float32)

    tracemalloc.start()
    result = evaluate_verification(block, query, gallery, memory_limit=4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.genuine_pairs + result.impostor_pairs == 20_000_000
    assert peak < 16 * 2**20  # of 76 MiB of similarities
    assert [point.false_accept_rate for point in result.points] == pytest.approx([1e-2, 1e-3, 1e-4], rel=0.01)
    assert result.points[0].true_accept_rate == pytest.approx(1e-2, rel=0.1)


@RULES
@given(st.integers(0, 10_000))
def test_more_false_accepts_bring_more_true_ones(seed):
    scores, query, gallery = problem(seed)
    points = evaluate_verification(matrix_blocks(scores), query, gallery, (0.01, 0.02, 0.1, 0.5, 0.9)).points
    shares = [(point.false_accept_rate, point.true_accept_rate, -point.threshold) for point in points]
    for column in zip(*shares, strict=True):
        assert list(column) == sorted(column)


def test_perfect_similarities_accept_all_genuine_pairs():
    _, query, gallery = problem(2)
    scores = (query.identities[:, None] == gallery.identities[None]).astype(np.float64)
    for point in evaluate_verification(matrix_blocks(scores), query, gallery, (0.5, 0.01)).points:
        assert (point.true_accept_rate, point.false_accept_rate) == (1.0, 0.0)


def test_all_equal_similarities_accept_nothing():
    _, query, gallery = problem(3)
    (point,) = evaluate_verification(matrix_blocks(np.ones((12, 60))), query, gallery, (0.1,)).points
    assert (point.true_accept_rate, point.false_accept_rate) == (0.0, 0.0)
    assert point.threshold > 1


def test_a_rate_that_the_pairs_cannot_tell_is_not_invented():
    query, gallery = Labels(np.array([0]), np.array([0])), Labels(np.array([0, 1, 1, 1, 1]), np.ones(5, int))
    block = matrix_blocks(np.array([[0.5, 0.1, 0.2, 0.3, 0.6]]))
    result = evaluate_verification(block, query, gallery, (0.25, 0.24))
    assert result.summary() == {
        "TAR@FAR=2.5e-1": 1.0,
        "TAR@FAR=2.4e-1": None,
        "genuine_pairs": 1,
        "impostor_pairs": 4,
    }
    assert result.points[0].threshold == np.nextafter(0.3, 1)
    assert result.points[1] == (0.24, None, None, None)
    assert result.remarks() == ["TAR@FAR=2.4e-1 cannot be told from 4 impostor pairs: it takes at least 5"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_next_number_above_an_impostor_is_accepted(dtype):
    query, gallery = Labels(np.array([0]), np.array([0])), Labels(np.array([0, 0, 1, 1]), np.ones(4, int))
    refused, just_above = dtype(0.3), np.nextafter(dtype(0.3), dtype(1))
    scores = np.array([[refused, just_above, refused, 0.9]], dtype)
    (point,) = evaluate_verification(matrix_blocks(scores), query, gallery, (0.5,)).points
    assert point == (0.5, just_above, 0.5, 0.5)


def test_one_identity_makes_no_impostors():
    labels = Labels(np.zeros(3, int), np.full(3, -1))
    result = evaluate_verification(matrix_blocks(np.ones((3, 3))), labels, labels)
    assert (result.genuine_pairs, result.impostor_pairs) == (9, 0)
    assert len(result.remarks()) == 3


def test_the_summary_is_plain_and_named_as_in_the_field():
    scores, query, gallery = problem(4, queries=200)
    result = evaluate_verification(matrix_blocks(torch.from_numpy(scores)), query, gallery)
    summary = result.summary()
    assert list(summary) == ["TAR@FAR=1e-2", "TAR@FAR=1e-3", "TAR@FAR=1e-4", "genuine_pairs", "impostor_pairs"]
    assert summary["TAR@FAR=1e-3"] is not None
    assert summary["TAR@FAR=1e-4"] is not None or summary["impostor_pairs"] < 10_000
    assert json.loads(json.dumps(summary)) == summary


def test_the_similarities_are_left_as_they_were():
    scores, query, gallery = problem(5)
    scores.flags.writeable = False
    kept = scores.copy()
    evaluate_verification(lambda start, stop: scores[start:stop], query, gallery)
    np.testing.assert_array_equal(scores, kept)


def test_embeddings_are_verified_by_their_inner_products():
    _, query, gallery = problem(6)
    vectors = np.random.default_rng(6).standard_normal((72, 8))
    block = embedding_blocks(vectors[:12], vectors[12:])
    assert evaluate_verification(block, query, gallery) == evaluate_verification(
        matrix_blocks(vectors[:12] @ vectors[12:].T), query, gallery
    )


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, float("nan")])
def test_rates_outside_the_open_interval_are_refused(rate):
    scores, query, gallery = problem(7)
    with pytest.raises(InputError, match="no false accept rate; give numbers between 0 and 1"):
        evaluate_verification(matrix_blocks(scores), query, gallery, (0.1, rate))


def test_what_cannot_be_verified_is_refused():
    scores, query, gallery = problem(8)
    with pytest.raises(InputError, match="rates are empty"):
        evaluate_verification(matrix_blocks(scores), query, gallery, ())
    with pytest.raises(InputError, match="none of the 12 queries has a match"):
        evaluate_verification(matrix_blocks(scores), Labels(query.identities + 100, query.cameras), gallery)
    with pytest.raises(InputError, match="same_camera=drop"):
        evaluate_verification(matrix_blocks(scores), query, gallery, same_camera="drop")
    scores[3, 4] = np.nan
    with pytest.raises(InputError, match="similarities of query 3 contain NaN"):
        evaluate_verification(matrix_blocks(scores), query, gallery)
