"""Open-set identification: what queries find, thresholds for a rate, and the rates a threshold reaches."""

from __future__ import annotations

import json
import math
from functools import partial

import numpy as np
import pytest
import retrieval_problems
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation import block_sizes
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.open_set import (
    OpenSetScores,
    open_set_rates,
    open_set_scores,
    pooled_open_set_scores,
    threshold_for,
)
from dgreid.evaluation.similarity import matrix_blocks

RULES = settings(deadline=None, derandomize=True, max_examples=60)
SCORES = st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=40)
TIED = st.lists(st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40)
RATES = st.floats(0, 1)
problem = partial(retrieval_problems.problem, gallery=40, unknown=True, dtype=np.float32)


def found(row, identity, camera, gallery, same_camera):
    """(best, correct, best other, valid) of one query, by a loop over the gallery."""
    best = (-math.inf, 0, False)
    other, valid = -math.inf, False
    for j, score in enumerate(row):
        same = gallery.identities[j] == identity
        if same and gallery.cameras[j] == camera != -1 and same_camera == "ignore":
            continue
        best = max(best, (score, -j, bool(same)))
        valid = valid or bool(same)
        other = other if same else max(other, score)
    return best[0], best[2], other, valid


@RULES
@given(st.integers(0, 10_000), st.sampled_from([None, 2, 1]), st.sampled_from(["ignore", "keep"]))
def test_what_queries_find_equals_plain_loops(seed, levels, same_camera):
    scores, query, gallery = problem(seed, levels=levels)
    expected = [found(row, *who, gallery, same_camera) for row, *who in zip(scores, *query, strict=True)]
    result = open_set_scores(matrix_blocks(scores), query, gallery, same_camera)
    for values, wanted in zip(result, zip(*expected, strict=True), strict=True):
        assert values.tolist() == list(wanted)
    assert result.best.dtype == result.best_other.dtype == np.float32


def test_an_image_of_no_similarity_at_all_comes_before_none_but_junk():
    query, gallery = Labels(np.array([0]), np.array([0])), Labels(np.array([0, 0, 1]), np.array([0, 1, 1]))
    scores = np.array([[0.5, -np.inf, -np.inf]])
    assert open_set_scores(matrix_blocks(scores), query, gallery).correct.tolist() == [True]
    stranger_first = Labels(gallery.identities[[0, 2, 1]], gallery.cameras)
    assert open_set_scores(matrix_blocks(scores), query, stranger_first).correct.tolist() == [False]


def test_a_query_without_anything_left_finds_nothing():
    query = Labels(np.array([0, 1]), np.array([0, 0]))
    gallery = Labels(np.array([0, 0]), np.array([0, 0]))
    result = open_set_scores(matrix_blocks(np.array([[3, 4], [1, 2]])), query, gallery)
    assert result.best.tolist() == [-math.inf, 2]
    assert result.best_other.tolist() == [-math.inf, 2]
    assert result.correct.tolist() == result.valid.tolist() == [False, False]


def test_blocks_of_any_length_find_the_same_and_similarities_stay(monkeypatch):
    scores, query, gallery = problem(1)
    scores.flags.writeable = False
    whole = open_set_scores(lambda start, stop: scores[start:stop], query, gallery)
    monkeypatch.setattr(block_sizes, "BLOCK_QUERIES", 5)
    for one, other in zip(whole, open_set_scores(matrix_blocks(scores.copy()), query, gallery), strict=True):
        np.testing.assert_array_equal(one, other)


@RULES
@given(SCORES | TIED, RATES, st.sampled_from([np.float32, np.float64]))
def test_the_threshold_is_the_smallest_that_keeps_the_rate(values, rate, dtype):
    scores = np.array(values, dtype)
    threshold = threshold_for(scores, rate)
    assert np.mean(scores >= threshold) <= rate
    if threshold > -math.inf:
        below = np.nextafter(dtype(threshold), dtype(-math.inf))
        assert np.mean(scores >= below) > rate
        assert below in scores
    else:
        assert rate == 1


@RULES
@given(SCORES | TIED, RATES, RATES)
def test_a_larger_rate_never_raises_the_threshold(values, one, other):
    low, high = sorted([one, other])
    assert threshold_for(np.array(values), high) <= threshold_for(np.array(values), low)


@RULES
@given(TIED, st.data())
def test_a_rate_that_is_reached_exactly_is_used_up(values, data):
    scores = np.array(values)
    level = data.draw(st.sampled_from(values))
    reached = float(np.mean(scores >= level))
    assert np.mean(scores >= threshold_for(scores, reached)) == reached


def test_the_ends_of_the_rates():
    scores = np.array([0.1, 0.9, 0.5])
    assert threshold_for(scores, 0) == np.nextafter(0.9, 1)
    assert threshold_for(scores, 0.33) == np.nextafter(0.9, 1)  # three queries cannot tell a third of a query
    assert threshold_for(scores, 0.34) == np.nextafter(0.5, 1)
    assert threshold_for(scores, 0.99) == np.nextafter(0.1, 1)
    assert threshold_for(scores, 1) == -math.inf
    assert threshold_for(np.array([-math.inf]), 0) == np.nextafter(-math.inf, 0)


def test_rates_of_a_threshold_by_hand():
    scores = OpenSetScores(
        best=np.array([0.9, 0.8, 0.7, 0.2]),
        correct=np.array([True, False, True, False]),
        best_other=np.array([0.6, 0.8, 0.1, 0.2]),
        valid=np.array([True, True, True, False]),
    )
    assert open_set_rates(scores, 0.7) == (0.7, 2 / 3, 1 / 4)
    assert open_set_rates(scores, 0.75) == (0.75, 1 / 3, 1 / 4)
    assert open_set_rates(scores, -math.inf) == (-math.inf, 2 / 3, 1)
    summary = open_set_rates(scores, np.float64(0.7)).summary()
    assert summary == {"TPIR": 2 / 3, "FPIR": 1 / 4, "open_set_threshold": 0.7}
    assert json.loads(json.dumps(summary)) == summary


@RULES
@given(st.integers(0, 10_000), st.floats(0.001, 0.999), st.sampled_from([np.float32, np.float64]))
def test_the_reached_rate_never_exceeds_the_wanted_one_where_it_was_taken(seed, rate, dtype):
    scores, query, gallery = problem(seed, levels=3, dtype=dtype)
    result = open_set_scores(matrix_blocks(scores), query, gallery)
    rates = open_set_rates(result, threshold_for(result.best_other, rate))
    assert rates.false_accepts <= rate
    once_more = json.loads(json.dumps(rates.threshold))  # as a run stores it
    assert open_set_rates(result, once_more) == rates


@RULES
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(-3, 3))
def test_a_higher_threshold_accepts_no_more(seed, one, other):
    assume(one != other)
    scores, query, gallery = problem(seed)
    result = open_set_scores(matrix_blocks(scores), query, gallery)
    low, high = (open_set_rates(result, threshold) for threshold in sorted([one, other]))
    assert high.true_accepts <= low.true_accepts
    assert high.false_accepts <= low.false_accepts


def test_a_larger_gallery_makes_more_false_accepts():
    scores, query, gallery = problem(2, gallery=400)
    part = Labels(gallery.identities[:40], gallery.cameras[:40])
    small = open_set_scores(matrix_blocks(scores[:, :40]), query, part)
    large = open_set_scores(matrix_blocks(scores), query, gallery)
    threshold = threshold_for(small.best_other, 0.2)
    assert open_set_rates(small, threshold).false_accepts <= 0.2 < open_set_rates(large, threshold).false_accepts


def test_pooled_domains_are_one_set_of_queries():
    parts = [open_set_scores(matrix_blocks(p[0]), *p[1:]) for p in (problem(3), problem(4, queries=5))]
    pooled = pooled_open_set_scores(parts)
    assert [len(values) for values in pooled] == [17] * 4
    threshold = threshold_for(pooled.best_other, 0.3)
    accepted = [12 * open_set_rates(parts[0], threshold).false_accepts, 5 * open_set_rates(parts[1], threshold)[2]]
    assert open_set_rates(pooled, threshold).false_accepts == pytest.approx(sum(accepted) / 17)


@pytest.mark.parametrize("rate", [-0.01, 1.01, float("nan")])
def test_rates_outside_the_interval_are_refused(rate):
    with pytest.raises(InputError, match="give a share between 0 and 1"):
        threshold_for(np.array([0.5]), rate)


@pytest.mark.parametrize("values", [[], [0.1, np.nan], [[0.1]]])
def test_scores_without_a_threshold_are_refused(values):
    with pytest.raises(InputError, match="give one similarity for each"):
        threshold_for(np.array(values, float), 0.1)


def test_what_has_no_rates_is_refused():
    scores, query, gallery = problem(5)
    with pytest.raises(InputError, match="there are no queries"):
        open_set_scores(matrix_blocks(scores[:0]), Labels(query.identities[:0], query.cameras[:0]), gallery)
    with pytest.raises(InputError, match="no open-set scores to pool"):
        pooled_open_set_scores([])
    strangers = open_set_scores(matrix_blocks(scores), Labels(query.identities + 100, query.cameras), gallery)
    with pytest.raises(InputError, match="none of the 12 queries has a match"):
        open_set_rates(strangers, 0.5)
    with pytest.raises(InputError, match="threshold=nan"):
        open_set_rates(strangers, float("nan"))
    with pytest.raises(InputError, match="similarities are infinite"):
        threshold_for(np.array([np.inf, 0.0]), 0.1)
