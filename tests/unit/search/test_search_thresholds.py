"""Thresholds for "nobody", and to which scores they belong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dgreid.errors import InputError
from dgreid.search.thresholds import Threshold, chosen_threshold


@pytest.fixture
def run_result(weights):
    """Writes what training leaves in ``result.json``."""

    def written(flip=False, **changes):
        open_set = {
            "step": 7, "flip": flip, "thresholds": {"0.01": 0.73, "0.1": 0.5}, "queries": 60, "gallery_images": 240,
            "true_accepts": {"0.01": 0.4, "0.1": 0.9}, **changes,
        }  # fmt: skip
        run = Path(weights.run)
        run.mkdir(exist_ok=True)
        content = {"open_set": open_set if changes != {"open_set": None} else None}
        (run / "result.json").write_text(json.dumps(content))

    return written


def test_without_a_wish_each_query_is_answered(weights):
    assert chosen_threshold(None, None, Path(weights.run), weights) is None


def test_a_rate_takes_the_run_s_threshold(weights, run_result):
    run_result()
    assert chosen_threshold(0.01, None, Path(weights.run), weights) == Threshold(0.73, 0.01, 240, 60)
    assert chosen_threshold(0.1, None, Path(weights.run), weights) == Threshold(0.5, 0.1, 240, 60)


def test_a_score_of_one_s_own_needs_no_run(weights):
    assert chosen_threshold(None, 0.6, Path(weights.run), weights) == Threshold(0.6)


@pytest.mark.parametrize(
    ("rate", "typed", "said"),
    [
        (0.01, 0.7, "false_accept_rate=0.01 with threshold=0.7: each gives a threshold; leave one out"),
        (0.02, None, r"has thresholds for 0.01, 0.1; choose one of these, or give a score of your own with threshold="),
        ("low", None, "false_accept_rate=low: a number, for instance false_accept_rate=0.01"),
        (None, "high", "threshold=high: a number, for instance threshold=0.7"),
        (None, float("nan"), "threshold=nan: a number"),
        (None, True, "threshold=True: a number"),
    ],
)
def test_what_cannot_be_meant_is_refused(weights, run_result, rate, typed, said):
    run_result()
    with pytest.raises(InputError, match=said):
        chosen_threshold(rate, typed, Path(weights.run), weights)


def test_a_run_without_thresholds_says_how_to_get_them(weights, run_result):
    said = r"run has no thresholds, because they are taken from people of the sources that were not trained on"
    with pytest.raises(
        InputError, match=said + r"\. Train with holdout=0.1, or give a score of your own with threshold="
    ):
        chosen_threshold(0.01, None, Path(weights.run), weights)
    run_result(open_set=None)
    with pytest.raises(InputError, match=said):
        chosen_threshold(0.01, None, Path(weights.run), weights)
    run_result(thresholds={})
    with pytest.raises(InputError, match=said):
        chosen_threshold(0.01, None, Path(weights.run), weights)


def test_thresholds_of_other_scores_are_refused(weights, run_result):
    run_result(step=9)
    with pytest.raises(
        InputError,
        match=r"are of step 9 with flip=false, the index is of step 7 .* do not belong to its .* checkpoint=sel",
    ):
        chosen_threshold(0.01, None, Path(weights.run), weights)
    run_result(flip=True)
    with pytest.raises(InputError, match=r"are of step 7 with flip=true, the index is of step 7 with flip=false"):
        chosen_threshold(0.01, None, Path(weights.run), weights)
    flipped = replace(weights, preprocessing={**weights.preprocessing, "flip_average": True})
    assert chosen_threshold(0.01, None, Path(weights.run), flipped).value == 0.73


def test_where_it_comes_from_is_said():
    said = Threshold(0.73, 0.01, 240, 100).explained(1000)
    assert "threshold 0.730 for a false-accept rate of 1 %" in said
    assert "taken from 100 searches for held-out people of the sources in a gallery of 240 images. The" in said
    assert "grows with the gallery (1,000 images here; this one is larger)" in said
    assert "larger" not in Threshold(0.73, 0.01, 240, 100).explained(240)
    assert (
        Threshold(0.5).explained(9) == "threshold 0.500, as given; how many false answers it lets through is not known"
    )


@pytest.mark.parametrize(("searches", "enough"), [(99, False), (100, True)])
def test_too_few_searches_for_a_rate_are_said(searches, enough):
    said = Threshold(0.73, 0.01, 240, searches).explained(100)
    assert (
        "So few cannot tell this rate, which takes 100: the threshold lies above all that they found" in said
    ) != enough
