"""One run against another."""

from __future__ import annotations

import pytest
from made_runs import made, queries

from dgreid.errors import InputError
from dgreid.evaluation.bootstrap import paired_difference
from dgreid.report.comparison import Resampling
from dgreid.report.two_runs import SAME, SEED_ALONE, two_runs

RESAMPLING = Resampling(resamples=300)


def pair(folder, **second):
    one, other = queries(60, 0.5, 1), queries(60, 0.7, 1)
    a = made(folder / "a", precision=one[0], first_rank=one[1])
    return a, made(folder / "b", precision=other[0], first_rank=other[1], **second)


def test_what_differs_and_by_how_much(tmp_path):
    a, b = pair(tmp_path, strategy="il", seed=3)
    differing, figures = two_runs(a, b, RESAMPLING)
    told = {line.cells[0].text: [cell.text for cell in line.cells[1:]] for line in differing.lines}
    assert told == {"seed": ["0", "3"], "strategy._target_": ["dgreid.strategies.fb.FB", "dgreid.strategies.il.IL"]}
    precision = queries(60, 0.5, 1)[0], queries(60, 0.7, 1)[0]
    interval = paired_difference(precision[1], precision[0], resamples=300)
    assert [cell.text for cell in figures.lines[0].cells] == [
        "market1501", "mAP", f"{100 * precision[0].mean():.1f}", f"{100 * precision[1].mean():.1f}",
        f"{100 * interval.difference:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]", "yes",
    ]  # fmt: skip
    assert [line.cells[1].text for line in figures.lines] == ["mAP", "Rank-1"]


@pytest.mark.parametrize(("second", "sentence"), [({"seed": 1}, SEED_ALONE), ({}, SAME)])
def test_differences_that_mean_nothing_are_told(tmp_path, second, sentence):
    assert two_runs(*pair(tmp_path, **second), RESAMPLING)[0].text[-1] == sentence


def test_what_it_was_made_with_differs_too(tmp_path):
    environment = {"commit": "def", "device": "H100", "python": "3.11", "packages": {"torch": "3"}}
    weights = {"source": "lup", "sha256": "12" * 32}
    table = two_runs(*pair(tmp_path, environment=environment, weights=weights), RESAMPLING)[0]
    told = {line.cells[0].text: [cell.text for cell in line.cells[1:]] for line in table.lines}
    assert told == {
        "(initial weights)": ["imagenet abababab", "lup 12121212"], "(commit)": ["abc", "def"],
        "(device)": ["cpu", "H100"], "(torch)": ["2", "3"],
    }  # fmt: skip
    assert table.text[-1] == SAME


def test_other_targets_have_no_difference(tmp_path):
    _, figures = two_runs(*pair(tmp_path, target="cuhknp"), RESAMPLING)
    assert [[cell.text for cell in line.cells[4:]] for line in figures.lines] == [["-", "-"]] * 4


def test_a_run_without_a_result(tmp_path):
    with pytest.raises(InputError, match=r"/b has no result yet; .* status"):
        two_runs(*pair(tmp_path, scored=False), RESAMPLING)
