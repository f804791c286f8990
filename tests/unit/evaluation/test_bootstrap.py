"""The paired bootstrap: a naive loop with the same draws, laws, and how often its intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation import bootstrap
from dgreid.evaluation.bootstrap import Interval, paired_difference

NAN = float("nan")


def naive_interval(a, b, groups, resamples, seed, level=0.95):
    """The definition: draw units, put their queries into two lists, take means and sort the differences."""
    kept = [k for k in range(len(a)) if not (np.isnan(a[k]) or np.isnan(b[k]))]
    units = sorted({groups[k] for k in kept})
    members = {unit: [k for k in kept if groups[k] == unit] for unit in units}
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = [k for unit in generator.integers(len(units), size=len(units)) for k in members[units[unit]]]
        found.append(np.mean([a[k] for k in drawn]) - np.mean([b[k] for k in drawn]))
    found.sort()
    low, high = (
        np.interp(share * (resamples - 1), range(resamples), found) for share in ((1 - level) / 2, (1 + level) / 2)
    )
    return np.mean([a[k] for k in kept]) - np.mean([b[k] for k in kept]), low, high


@pytest.mark.parametrize("draws_at_once", [2**20, 50, 1])
@pytest.mark.parametrize("grouped", [False, True])
def test_equals_a_naive_loop_with_the_same_draws(monkeypatch, draws_at_once, grouped):
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", draws_at_once)
    generator = np.random.default_rng(3)
    a, b = generator.random(17), generator.random(17)
    a[[2, 5]], b[[5, 11]] = NAN, NAN
    groups = generator.integers(40, 46, 17) if grouped else np.arange(17)
    result = paired_difference(a, b, groups if grouped else None, resamples=73, seed=9, level=0.9)
    assert result[:3] == pytest.approx(naive_interval(a, b, groups, 73, 9, 0.9), abs=1e-12)
    units = len({g for g, x, y in zip(groups, a, b, strict=True) if not np.isnan(x + y)})
    assert result[3:] == (0.9, 73, 14, units)


values = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 4)), min_size=2, max_size=30)


@given(values, st.booleans())
@settings(max_examples=40, deadline=None)
def test_swapping_the_methods_turns_the_interval_around(rows, grouped):
    a, b, groups = (np.array(column) for column in zip(*rows, strict=True))
    groups[0], groups[1] = 5, 6
    chosen = groups if grouped else None
    one, other = paired_difference(a, b, chosen, 200), paired_difference(b, a, chosen, 200)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low), abs=1e-12)


@given(values, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_queries_does_not_move_the_point_estimate(rows, random):
    a, b, _ = (np.array(column) for column in zip(*rows, strict=True))
    order = list(range(len(a)))
    random.shuffle(order)
    before, after = paired_difference(a, b, None, 10), paired_difference(a[order], b[order], None, 10)
    assert after.difference == pytest.approx(before.difference, abs=1e-12)


def test_equal_methods_differ_by_nothing():
    a = np.random.default_rng(0).random(50)
    result = paired_difference(a, a.copy(), resamples=100)
    assert (result.difference, result.low, result.high) == (0, 0, 0)
    assert not result.excludes_zero


def test_a_constant_gain_is_certain_and_a_seed_repeats():
    a = np.random.default_rng(0).random(50)
    sure = paired_difference(a + 0.25, a, resamples=100)
    assert (sure.low, sure.high) == pytest.approx((0.25, 0.25))
    assert sure.excludes_zero
    b = np.random.default_rng(1).random(50)
    assert paired_difference(a, b, seed=4, resamples=500) == paired_difference(a, b, seed=4, resamples=500)
    assert paired_difference(a, b, seed=4, resamples=500) != paired_difference(a, b, seed=5, resamples=500)


@pytest.mark.parametrize(
    ("low", "high", "excludes"), [(-1, 1, False), (0, 1, False), (-1, 0, False), (1, 2, True), (-2, -1, True)]
)
def test_excluding_zero(low, high, excludes):
    assert Interval(0, low, high, 0.95, 1, 1, 1).excludes_zero is excludes


def test_a_group_of_each_query_equals_no_groups():
    a, b = np.random.default_rng(0).random((2, 30))
    assert paired_difference(a, b, np.arange(30), 300) == paired_difference(a, b, None, 300)


def coverage(intervals, truth):
    return np.mean([interval.low <= truth <= interval.high for interval in intervals])


def test_intervals_hold_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(0)
    skewed = generator.beta(2, 1, (400, 2, 120))  # true means 2/3 and 2/3
    skewed[:, 1] **= 2  # mean of the square 1/2
    intervals = [paired_difference(a, b, resamples=400, seed=k) for k, (a, b) in enumerate(skewed)]
    assert 0.92 <= coverage(intervals, 2 / 3 - 1 / 2) <= 0.98


def test_queries_of_one_identity_need_the_cluster_bootstrap():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 6)
    by_query, by_identity = [], []
    for k in range(300):
        a = generator.normal(size=60)[groups] + 0.3 * generator.normal(size=360)  # queries of a person fail together
        b = np.zeros(360)
        by_query.append(paired_difference(a, b, resamples=300, seed=k))
        by_identity.append(paired_difference(a, b, groups, resamples=300, seed=k))
    assert coverage(by_query, 0) < 0.75
    assert 0.90 <= coverage(by_identity, 0) <= 0.98


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 0.5], [0.5]), r"shapes \(2,\) and \(1,\)"),
        (([0.5, 0.5], [0.5, 0.5], [1]), r"groups \(1,\)"),
        (([0.5, NAN], [0.5, 0.5]), "queries with a figure by both methods: 1; an interval needs 2 or more"),
        (([0.5, NAN], [NAN, 0.5]), "methods: 0;"),
        (([0.5, 0.4], [0.5, 0.5], [3, 3]), "groups of queries with a figure by both methods: 1"),
        (([0.5, 0.5], [0.5, 0.5], None, 0), "resamples=0: at least 1"),
        (([0.5, 0.5], [0.5, 0.5], None, 10, 0, 95), "level=95: between 0 and 1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        paired_difference(*(np.array(x) if isinstance(x, list) else x for x in arguments))
