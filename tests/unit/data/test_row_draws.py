"""Numbers belong to their purpose and position."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.data.row_draws import StepDraws, permutation, uniform


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 5), st.text(max_size=5))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_a_row_does_not_depend_on_which_rows_are_asked_for(start, count, columns, purpose):
    whole = uniform(range(100), columns, purpose)
    np.testing.assert_array_equal(uniform(range(start, start + count), columns, purpose), whole[start : start + count])


def test_the_numbers_stay_what_they_are():
    # Recorded: a change here changes every recorded run.
    np.testing.assert_allclose(uniform(range(1, 2), 2, 7, "market1501", 3, "images"), RECORDED, rtol=0, atol=1e-15)


RECORDED = [[0.38707942756452085, 0.9188377477047419]]


@pytest.mark.parametrize("other", [(1, "a", 3), (0, "b", 3), (0, "a", 4), ("0", "a3")])
def test_purposes_are_independent(other):
    numbers, others = uniform(range(2000), 1, 0, "a", 3)[:, 0], uniform(range(2000), 1, *other)[:, 0]
    assert abs(np.corrcoef(numbers, others)[0, 1]) < 0.08
    assert abs(numbers.mean() - 0.5) < 0.03
    assert numbers.min() >= 0
    assert numbers.max() < 1


def test_a_permutation_holds_each_number_once_and_is_fair():
    orders = np.array([permutation(5, seed) for seed in range(2000)])
    assert (np.sort(orders, axis=1) == np.arange(5)).all()
    np.testing.assert_allclose([(orders[:, 0] == value).mean() for value in range(5)], 0.2, atol=0.03)


def test_step_draws_are_the_rows_of_the_step():
    draws = StepDraws(seed=3, domain="a", step=9, rows=range(4, 8))
    np.testing.assert_array_equal(draws.uniform("flip", 2), uniform(range(8), 2, 3, "a", 9, "flip")[4:])
