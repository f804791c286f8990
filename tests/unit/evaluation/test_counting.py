"""Counting on the CPU and on a device against plain counts, for few and for many matches, with ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from retrieval_problems import plain_figures, problem

from dgreid.errors import InputError
from dgreid.evaluation import counting
from dgreid.evaluation.counting import HostCounter
from dgreid.evaluation.device_counting import DeviceCounter
from dgreid.evaluation.labels import CandidateLists
from dgreid.evaluation.query_figures import query_figures

RULES = settings(deadline=None, derandomize=True, max_examples=40)
COUNTERS = pytest.mark.parametrize(
    "counter",
    [HostCounter, lambda scores, first: DeviceCounter(torch.from_numpy(scores), first)],
    ids=["host", "device"],
)


@COUNTERS
@pytest.mark.parametrize("sorted_per_match", [0, 3, 80])
@RULES
@given(
    seed=st.integers(0, 10_000),
    levels=st.sampled_from([None, 20, 2]),
    dtype=st.sampled_from([np.float32, np.float64]),
    most=st.integers(1, 20),
)
def test_counts_are_those_of_plain_comparisons(counter, sorted_per_match, seed, levels, dtype, most):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((9, 50)).astype(dtype)
    if levels:
        scores = np.round(scores * levels) / levels
    columns = [np.sort(rng.choice(50, rng.integers(0, most + 1), replace=False)) for _ in range(9)]
    columns = [own[np.argsort(-row[own], kind="stable")] for row, own in zip(scores, columns, strict=True)]
    bounds = np.concatenate(([0], np.cumsum([len(own) for own in columns])))
    queries, flat = np.repeat(np.arange(9), np.diff(bounds)), np.concatenate(columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "SORTED_PER_MATCH", sorted_per_match)
        block = counter(scores, 0)
        thresholds = block.at(queries, flat)
        above, not_below = block.count(thresholds, bounds)
        tied_before = block.tied_before(queries, flat)
    assert thresholds.tolist() == [scores[q, c] for q, c in zip(queries, flat, strict=True)]
    pairs = list(zip(queries, flat, strict=True))
    assert above.tolist() == [sum(scores[q] > scores[q, c]) for q, c in pairs]
    assert not_below.tolist() == [sum(scores[q] >= scores[q, c]) for q, c in pairs]
    assert tied_before.tolist() == [sum(scores[q, :c] == scores[q, c]) for q, c in pairs]


@COUNTERS
@RULES
@given(st.integers(0, 10_000), st.sampled_from([None, 4, 1]), st.booleans())
def test_figures_of_a_block(counter, seed, levels, unknown):
    scores, query, gallery = problem(seed, levels=levels, unknown=unknown)
    figures = query_figures(counter(scores, 0), CandidateLists(query, gallery).pairs(0, 12), 12)
    expected = plain_figures(scores, query, gallery)
    for name in figures._fields:
        np.testing.assert_allclose(getattr(figures, name), getattr(expected, name), rtol=0, atol=1e-12, err_msg=name)


@COUNTERS
def test_a_block_without_any_match(counter):
    scores, query, gallery = problem(1)
    figures = query_figures(counter(scores[:1], 0), CandidateLists(query, gallery).pairs(0, 1), 1)
    assert figures.first_rank.tolist() == [0]
    assert np.isnan([figures.average_precision, figures.inverse_negative_penalty]).all()


@COUNTERS
@pytest.mark.parametrize("sorted_per_match", [0, 80])
def test_nan_is_named_by_its_query(counter, sorted_per_match, monkeypatch):
    monkeypatch.setattr(counting, "SORTED_PER_MATCH", sorted_per_match)
    scores = np.zeros((4, 6))
    scores[2, 5] = np.nan
    with pytest.raises(InputError, match="similarities of query 102 contain NaN"):
        counter(scores, 100).count(np.array([0.5, -1.0, -1.0]), np.array([0, 2, 2, 3, 3]))


@COUNTERS
def test_scores_are_only_read(counter):
    scores, query, gallery = problem(2, levels=3)
    kept = scores.copy()
    scores.flags.writeable = counter is not HostCounter  # torch warns of arrays that it may not write to
    query_figures(counter(scores, 0), CandidateLists(query, gallery).pairs(0, 12), 12)
    np.testing.assert_array_equal(scores, kept)
