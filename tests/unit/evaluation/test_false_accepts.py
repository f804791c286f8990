"""Thresholds that keep false accepts at a rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.false_accepts import allowed_false_accepts, fewest_that_tell, threshold_above

RULES = settings(deadline=None, derandomize=True, max_examples=200)


@RULES
@given(st.floats(0, 1), st.integers(1, 10**9))
def test_as_many_are_allowed_as_the_rate_admits(rate, count):
    allowed = allowed_false_accepts(rate, count)
    assert 0 <= allowed <= count
    assert allowed / count <= rate
    assert allowed == count or (allowed + 1) / count > rate


@RULES
@given(st.integers(1, 10**6), st.data())
def test_a_rate_that_is_a_share_admits_that_share(count, data):
    accepted = data.draw(st.integers(0, count))
    assert allowed_false_accepts(accepted / count, count) == accepted


def test_rates_whose_product_is_rounded():
    assert 0.29 * 100 < 29
    assert allowed_false_accepts(0.29, 100) == 29
    assert allowed_false_accepts(np.nextafter(1.0, 0.0), 10) == 9
    assert allowed_false_accepts(0.5, 0) == 0


@RULES
@given(st.floats(1e-9, 1) | st.integers(1, 10**9).map(lambda count: 1 / count))
def test_so_many_scores_tell_a_rate_and_one_less_does_not(rate):
    fewest = fewest_that_tell(rate)
    assert allowed_false_accepts(rate, fewest) >= 1
    assert allowed_false_accepts(rate, fewest - 1) == 0


def test_rates_whose_quotient_is_rounded():
    assert 1 / np.nextafter(0.2, 0) == 5
    assert fewest_that_tell(np.nextafter(0.2, 0)) == 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.3, -0.3, 0.0, 1e-30, -np.inf])
def test_no_number_lies_between_a_score_and_the_threshold_above_it(dtype, value):
    score = dtype(value)
    threshold = threshold_above(score)
    assert dtype(threshold) == threshold > score
    with np.errstate(over="ignore"):  # minus infinity is below the smallest number
        assert np.nextafter(dtype(threshold), dtype(-np.inf)) == score


def test_nothing_lies_above_infinity():
    with pytest.raises(InputError, match="similarities are infinite"):
        threshold_above(np.float32(np.inf))
