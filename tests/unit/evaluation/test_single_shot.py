"""The single-gallery-shot CMC against plain loops, and its expectation against all possible draws."""

from __future__ import annotations

import itertools
import json
from functools import partial

import numpy as np
import pytest
import retrieval_problems
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation import block_sizes
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_similarities
from dgreid.evaluation.similarity import matrix_blocks
from dgreid.evaluation.single_shot import evaluate_single_shot, random_orders

RULES = settings(deadline=None, derandomize=True, max_examples=30)
problem = partial(retrieval_problems.problem, queries=10, gallery=40, unknown=True)


def left_by_identity(identity, camera, gallery, same_camera):
    """For one query the gallery images of each identity that the camera rule leaves."""
    left = {}
    for j, other in enumerate(gallery.identities):
        junk = other == identity and gallery.cameras[j] == camera != -1 and same_camera == "ignore"
        if not junk:
            left.setdefault(int(other), []).append(j)
    return left


def rank_among(row, drawn, match):
    """The match's rank among drawn gallery images; ties by the smaller index."""
    return 1 + sorted(drawn, key=lambda j: (-row[j], j)).index(match)


@RULES
@given(st.integers(0, 10_000), st.sampled_from([None, 2]), st.sampled_from(["ignore", "keep"]))
def test_figures_equal_plain_loops_over_the_same_draws(seed, levels, same_camera):
    scores, query, gallery = problem(seed, levels=levels)
    result = evaluate_single_shot(matrix_blocks(scores), query, gallery, 4, seed, same_camera)
    for order, cmc in zip(random_orders(40, 4, seed), result.repeat_cmc, strict=True):
        ranks = []
        for row, identity, camera in zip(scores, *query, strict=True):
            left = left_by_identity(identity, camera, gallery, same_camera)
            if identity in left:
                drawn = {who: next(j for j in order if j in images) for who, images in left.items()}
                ranks.append(rank_among(row, drawn.values(), drawn[identity]))
        assert result.queries == len(ranks)
        np.testing.assert_allclose(cmc, [np.mean(np.array(ranks) <= k) for k in range(1, 51)], atol=1e-12)
    np.testing.assert_allclose(result.cmc, result.repeat_cmc.mean(axis=0), atol=1e-12)


def expected_ranks(scores, query, gallery):
    """The share of all possible draws, each as likely, at each rank; mean over valid queries."""
    shares = []
    for row, identity, camera in zip(scores, *query, strict=True):
        left = left_by_identity(identity, camera, gallery, "ignore")
        if identity in left:
            who = list(left)
            draws = list(itertools.product(*left.values()))
            ranks = [rank_among(row, draw, draw[who.index(identity)]) for draw in draws]
            shares.append([np.mean([rank <= k for rank in ranks]) for k in range(1, 51)])
    return np.mean(shares, axis=0)


def test_the_expectation_is_that_of_all_possible_draws():
    scores, query, gallery = problem(3, queries=6, gallery=12, identities=4, levels=3)
    repeats = 4000
    found = evaluate_single_shot(matrix_blocks(scores), query, gallery, repeats).cmc
    expected = expected_ranks(scores, query, gallery)
    assert 0 < expected[0] < expected[1] < 1
    np.testing.assert_allclose(found, expected, atol=5 * 0.5 / np.sqrt(repeats))  # five standard errors at most


def test_every_image_left_is_drawn_as_often():
    """One query, whose match ranks 1, 2, 3 or 4 by which of its own images is drawn."""
    gallery = Labels(np.array([1, 1, 0, 0, 0, 0]), np.array([1, 1, 1, 1, 1, 0]))
    scores = np.array([[0.4, 0.2, 0.5, 0.3, 0.1, 0.9]])  # the last is of the query's own camera
    result = evaluate_single_shot(matrix_blocks(scores), Labels(np.array([0]), np.array([0])), gallery, 6000)
    # own 0.5 is always first, 0.3 before 0.2 alone, 0.1 never
    assert result.cmc[0] == pytest.approx((1 + 1 / 2 + 0) / 3, abs=5 * 0.5 / np.sqrt(6000))
    assert result.cmc[1] == 1


def test_one_image_of_each_identity_needs_no_draw():
    scores, query, _ = problem(4, gallery=20)
    alone = Labels(np.arange(20), np.full(20, 7))
    asked = Labels(np.arange(10), query.cameras)
    result = evaluate_single_shot(matrix_blocks(scores), asked, alone)
    whole = evaluate_similarities(scores, asked, alone)
    np.testing.assert_allclose(result.repeat_cmc, np.tile(whole.cmc, (10, 1)), atol=1e-12)
    assert result.summary()["single_shot_rank1_deviation"] == 0


@RULES
@given(st.integers(0, 10_000))
def test_a_perfect_ranking_scores_one(seed):
    _, query, gallery = problem(seed)
    scores = (query.identities[:, None] == gallery.identities[None]).astype(float)
    assert evaluate_single_shot(matrix_blocks(scores), query, gallery).cmc.tolist() == [1.0] * 50


@RULES
@given(st.integers(0, 10_000))
def test_neither_the_order_of_queries_nor_their_repetition_matters(seed):
    scores, query, gallery = problem(seed)
    once = evaluate_single_shot(matrix_blocks(scores), query, gallery, 3, seed)
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), 2))
    again = Labels(query.identities[order], query.cameras[order])
    twice = evaluate_single_shot(matrix_blocks(scores[order]), again, gallery, 3, seed)
    np.testing.assert_allclose(twice.repeat_cmc, once.repeat_cmc, atol=1e-12)


def test_draws_depend_on_the_seed_and_not_on_blocks_or_the_number_of_repeats(monkeypatch):
    scores, query, gallery = problem(5)
    few = evaluate_single_shot(matrix_blocks(scores), query, gallery, 3, seed=1)
    other = evaluate_single_shot(matrix_blocks(scores), query, gallery, 3, seed=2)
    assert not np.array_equal(few.repeat_cmc, other.repeat_cmc)
    monkeypatch.setattr(block_sizes, "BLOCK_QUERIES", 3)
    many = evaluate_single_shot(matrix_blocks(scores), query, gallery, 7, seed=1)
    np.testing.assert_array_equal(many.repeat_cmc[:3], few.repeat_cmc)


def test_the_summary_holds_plain_numbers():
    summary = evaluate_single_shot(matrix_blocks(problem(6)[0]), *problem(6)[1:], repeats=2).summary()
    assert list(summary) == [
        "single_shot_rank1",
        "single_shot_rank5",
        "single_shot_rank10",
        "single_shot_rank1_deviation",
        "single_shot_repeats",
        "single_shot_queries",
    ]
    assert summary["single_shot_repeats"] == 2
    assert json.loads(json.dumps(summary)) == summary


def test_bad_requests_are_refused():
    scores, query, gallery = problem(7)
    with pytest.raises(InputError, match="repeats=0: draw at least once"):
        evaluate_single_shot(matrix_blocks(scores), query, gallery, repeats=0)
    with pytest.raises(InputError, match="seed=-1: give 0 or more"):
        evaluate_single_shot(matrix_blocks(scores), query, gallery, seed=-1)
    with pytest.raises(InputError, match="none of the 10 queries has a match"):
        evaluate_single_shot(matrix_blocks(scores), Labels(query.identities + 100, query.cameras), gallery)
