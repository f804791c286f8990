"""Differences and their intervals: against a slow bootstrap, against draws of known truth, and by their laws."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from made_runs import made, method
from scipy.stats import t as student

from dgreid.evaluation.bootstrap import paired_difference
from dgreid.report.comparison import Resampling, _joined, difference, mean_difference, run_difference, same_queries
from dgreid.report.grouping import sheets
from dgreid.report.reading import read_queries

RESAMPLING = Resampling(resamples=400)


def rows_of(runs):
    (sheet,) = sheets(runs)
    return {row.name: row for row in sheet.rows}


def lists(row, target):
    return [read_queries(run.folder, target).average_precision for run in row.on(target)]


def slow_ends(ours, theirs, resamples):
    """Distances of the interval's ends from the difference: queries drawn again, one resample after another."""
    differences = [
        statistics.fmean(a[query] - b[query] for a, b in zip(ours, theirs, strict=True)) for query in range(60)
    ]
    generator = np.random.default_rng(0)
    drawn = generator.integers(60, size=(resamples, 60))
    means = sorted(statistics.fmean(differences[query] for query in one) for one in drawn)
    low, high = np.quantile(means, [0.025, 0.975])
    return statistics.fmean(differences) - low, high - statistics.fmean(differences)


def test_against_a_slow_bootstrap_and_the_formula(tmp_path):
    rows = rows_of(method(tmp_path, "fb", (0.5, 0.55, 0.45)) + method(tmp_path, "il", (0.62, 0.6, 0.66)))
    found = difference(rows["il"], rows["fb"], "market1501", "mAP", RESAMPLING)
    ours, theirs = lists(rows["il"], "market1501"), lists(rows["fb"], "market1501")
    of_seeds = [a.mean() - b.mean() for a, b in zip(ours, theirs, strict=True)]
    seeds = student.ppf(0.975, 2) * statistics.stdev(of_seeds) / math.sqrt(3)
    below, above = slow_ends(ours, theirs, 400)
    assert found.value == pytest.approx(statistics.fmean(of_seeds))
    assert found.low == pytest.approx(found.value - math.sqrt(below**2 + seeds**2))
    assert found.high == pytest.approx(found.value + math.sqrt(above**2 + seeds**2))
    assert (found.seeds, found.covers) == (3, "queries and seeds")


def test_one_seed_is_over_queries_alone(tmp_path):
    rows = rows_of(method(tmp_path, "fb", (0.5,)) + method(tmp_path, "il", (0.6, 0.7)))
    found = difference(rows["il"], rows["fb"], "market1501", "mAP", RESAMPLING)
    below, _ = slow_ends(lists(rows["il"], "market1501")[:1], lists(rows["fb"], "market1501"), 400)
    assert found.low == pytest.approx(found.value - below)
    assert (found.seeds, found.covers) == (1, "queries")


def test_without_lists_of_queries_it_is_over_seeds_alone(tmp_path):
    runs = method(tmp_path, "fb", (0.5, 0.6)) + method(tmp_path, "il", (0.6, 0.8))
    (runs[-1].folder / "queries.csv").unlink()
    rows = rows_of(runs)
    found = difference(rows["il"], rows["fb"], "market1501", "mAP", RESAMPLING)
    of_seeds = [run.row("market1501")["mAP"] for run in runs]
    differences = [of_seeds[2] - of_seeds[0], of_seeds[3] - of_seeds[1]]
    half = student.ppf(0.975, 1) * statistics.stdev(differences) / math.sqrt(2)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    assert found.covers == "seeds"


def test_no_seed_in_common(tmp_path):
    runs = [made(tmp_path / "a", strategy="fb", seed=0), made(tmp_path / "b", strategy="il", seed=1)]
    rows = rows_of(runs)
    assert difference(rows["il"], rows["fb"], "market1501", "mAP", RESAMPLING) is None


def test_other_images_are_not_paired(tmp_path):
    other = [{"name": "market1501", "query": {"list_hash": "q"}, "gallery": {"list_hash": "other"}}]
    a, b = made(tmp_path / "a"), made(tmp_path / "b", targets=other)
    assert same_queries(a, a, "market1501") is not None
    assert same_queries(a, b, "market1501") is None
    assert run_difference(a, b, "market1501", "mAP", RESAMPLING) == (0.0, None, None, 1, "nothing")


def test_it_turns_round(tmp_path):
    rows = rows_of(method(tmp_path, "fb", (0.5, 0.55)) + method(tmp_path, "il", (0.62, 0.6)))
    one, other = (
        difference(rows[a], rows[b], "market1501", "rank1", RESAMPLING) for a, b in (("il", "fb"), ("fb", "il"))
    )
    assert one.value == pytest.approx(-other.value)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_targets_weigh_the_same_and_are_independent(tmp_path):
    targets = ("cuhknp", "market1501")
    runs = method(tmp_path, "fb", (0.5,), targets) + method(tmp_path, "il", (0.6,), targets)
    rows = rows_of(runs)
    single = [difference(rows["il"], rows["fb"], target, "mAP", RESAMPLING) for target in targets]
    both = mean_difference(rows["il"], rows["fb"], targets, "mAP", RESAMPLING)
    assert both.value == pytest.approx(statistics.fmean(one.value for one in single))
    halves = [one.high - one.value for one in single]
    assert both.high - both.value == pytest.approx(math.hypot(*halves) / 2)


def test_identities_may_be_drawn_as_a_whole(tmp_path):
    rows = rows_of(method(tmp_path, "fb", (0.5,)) + method(tmp_path, "il", (0.6,)))
    single, whole = (
        difference(rows["il"], rows["fb"], "market1501", "mAP", Resampling(400, unit)) for unit in ("query", "identity")
    )
    assert single.value == pytest.approx(whole.value)
    assert single.low != whole.low


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Queries and three seeds are drawn from what is known, as by training and testing anew."""
    generator, truth, held = np.random.default_rng(3), 0.05, 0
    repeats = 400
    for _ in range(repeats):
        of_queries = generator.normal(0, 0.2, 80)
        of_seeds = generator.normal(0, 0.02, 3)
        table = truth + of_queries + of_seeds[:, None] + generator.normal(0, 0.05, (3, 80))
        found = paired_difference(table.mean(axis=0), np.zeros(80), resamples=300)
        ends = found.difference - found.low, found.high - found.difference
        joined = _joined(list(table.mean(axis=1)), [ends])
        held += joined.low <= truth <= joined.high
    assert 0.93 <= held / repeats <= 0.995
