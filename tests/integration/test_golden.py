"""What each strategy computes from files to figures, held to 1e-6; ``make golden`` rewrites the records."""

from __future__ import annotations

import json

import pytest
from golden import FOLDER, STEPS, golden_trace
from small_runs import strategies

TOLERANCE = 1e-6


def flat(value, name=""):
    if isinstance(value, dict):
        return {key: number for part, inner in value.items() for key, number in flat(inner, f"{name}/{part}").items()}
    if isinstance(value, list):
        return flat(dict(enumerate(value)), name)
    return {name: value}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("strategy", strategies())
def test_ten_steps_are_what_they_were(strategy, data_root, runs):
    record = FOLDER / f"{strategy}.json"
    assert record.is_file(), f"{strategy} has no golden trace yet: make golden, look at it, and commit {record.name}"
    expected, found = json.loads(record.read_text()), golden_trace(strategy, data_root, runs)
    assert len(found["steps"]) == STEPS
    assert flat(found) == pytest.approx(flat(expected), rel=TOLERANCE, abs=1e-12), (
        f"{strategy} computes something else than before; if that is meant, `make golden` and say why in the commit"
    )


def test_every_record_belongs_to_a_strategy():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(strategies()), "make golden"


@pytest.mark.parametrize("strategy", strategies())
def test_a_record_can_fail(strategy):
    """A trace that stands still, or is not finite, would hold whatever the code did."""
    record = json.loads((FOLDER / f"{strategy}.json").read_text())
    losses = [step["loss"] for step in record["steps"]]
    assert len(set(losses)) == STEPS
    assert all(0 < loss < 100 for loss in losses)
    assert 0 < record["target"]["mAP"] < 1
