"""The statistics of the synthetic benchmark against scipy's tests, numbers worked out by hand, and simulation."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from resolution import Difference, Spread, difference, smallest_difference, within_cells, within_pairs

# Two methods, two targets, three seeds. Deviations from cell means: a -1 0 1, -2 2 0; b -1 -1 2, -3 0 3.
BY_HAND = {
    ("a", "x"): [9.0, 10.0, 11.0],
    ("a", "y"): [28.0, 32.0, 30.0],
    ("b", "x"): [13.0, 13.0, 16.0],
    ("b", "y"): [27.0, 30.0, 33.0],
}


def scores(cells):
    return {(*names, seed): value for names, values in cells.items() for seed, value in enumerate(values)}


def random_cells(seed, methods, targets, seeds):
    """Cells with effects of method, target and of seed within a target."""
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(methods, targets, 1)) * 5 + generator.normal(size=(1, targets, seeds)) * 3
    table = table + generator.normal(size=(methods, targets, seeds)) * 2 + 50
    return table, scores({(f"m{m}", f"t{t}"): table[m, t] for m in range(methods) for t in range(targets)})


def test_spreads_by_hand():
    # Squares: 2, 8, 6 and 18, with two degrees each.
    assert within_cells(scores(BY_HAND)) == pytest.approx(Spread((34 / 8) ** 0.5, 8))
    # Half the squared deviations of b - a from their mean: x 4 3 5 -> 2 / 2, y -1 -2 3 -> 14 / 2; two degrees each.
    assert within_pairs(scores(BY_HAND)) == pytest.approx(Spread((8 / 4) ** 0.5, 4))


def test_the_smallest_difference_by_hand():
    # t(0.975; 8) = 2.306004, t(0.975; 56) = 2.003241 of printed tables.
    assert smallest_difference(Spread(1.5, 8), 3) == pytest.approx(2.306004 * 1.5 * (2 / 3) ** 0.5, rel=1e-6)
    assert smallest_difference(Spread(4.8, 56), 12) == pytest.approx(2.003241 * 4.8 * (2 / 12) ** 0.5, rel=1e-6)


def test_a_difference_by_hand():
    # Means a 10, 30, b 14, 30; variances a 1, 4, b 3, 9, over three seeds each, halved targets.
    found = difference(scores(BY_HAND), "b", "a", ("x", "y"))
    assert found == pytest.approx(Difference(2.0, ((1 + 4 + 3 + 9) / 3) ** 0.5 / 2))
    swapped = difference(scores(BY_HAND), "a", "b", ("x", "y"))
    assert swapped == pytest.approx(Difference(-found.value, found.error))


@pytest.mark.parametrize("seed", range(5))
def test_a_difference_of_the_smallest_size_has_p_of_five_per_cent(seed):
    """Two methods, one target: the unpaired test is scipy's of two samples, the paired one scipy's of differences."""
    table, _ = random_cells(seed, 2, 1, 4)
    first, second = table[0, 0], table[1, 0]
    found = scores({("a", "x"): first, ("b", "x"): second})
    unpaired = smallest_difference(within_cells(found), 4)
    moved = second - second.mean() + first.mean() + unpaired
    assert stats.ttest_ind(first, moved).pvalue == pytest.approx(0.05, abs=1e-9)
    paired = smallest_difference(within_pairs(found), 4)
    moved = second - second.mean() + first.mean() + paired
    assert stats.ttest_rel(first, moved).pvalue == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_all_differences_of_two_methods(seed):
    """The residual's variance is half the mean variance of the differences of all pairs of methods."""
    table, found = random_cells(seed, 4, 3, 3)
    variances = [
        np.var(table[a, target] - table[b, target], ddof=1) for target in range(3) for a in range(4) for b in range(a)
    ]
    spread = within_pairs(found)
    assert spread.deviation**2 == pytest.approx(np.mean(variances) / 2)
    assert spread.degrees == 3 * 3 * 2


def test_pairing_takes_out_what_all_methods_share_in_a_seed_and_nothing_else():
    cells = {key: np.array(values) for key, values in BY_HAND.items()}
    luck = {"x": np.array([40.0, 0.0, -7.0]), "y": np.array([0.0, 11.0, 5.0])}
    lucky = scores({(method, target): values + luck[target] for (method, target), values in cells.items()})
    assert within_pairs(lucky) == pytest.approx(within_pairs(scores(BY_HAND)))
    assert within_cells(lucky).deviation > 10


def test_uneven_cells():
    cells = scores({**BY_HAND, ("b", "y"): [27.0]})
    assert within_cells(cells) == pytest.approx(Spread((16 / 6) ** 0.5, 6))
    assert within_pairs(cells) == pytest.approx(Spread((1 / 2) ** 0.5, 2))  # y has no two seeds in common
    assert difference(cells, "b", "a", ("x", "y")) == (pytest.approx(0.5), None)
    assert difference(cells, "b", "a", ("x", "z")) is None


def test_nothing_is_estimated_from_single_runs():
    cells = scores({key: values[:1] for key, values in BY_HAND.items()})
    assert within_cells(cells) is None
    assert within_pairs(cells) is None
    assert within_pairs(scores({("a", "x"): [1.0, 2.0]})) is None


def test_equal_methods_are_told_apart_in_one_of_twenty_sweeps():
    """The whole rule on 1,000 simulated sweeps of seven equal methods, four targets, three seeds."""
    generator = random.Random(0)
    targets = ("p", "q", "r", "s")
    found = 0
    for _ in range(1000):
        cells = {(m, t): [generator.gauss(50, 4) for _ in range(3)] for m in "abcdefg" for t in targets}
        spread = within_cells(scores(cells))
        gap = difference(scores(cells), "a", "b", targets).value
        found += abs(gap) > smallest_difference(spread, 12)
    assert 0.03 < found / 1000 < 0.07  # three standard errors of 0.05
