"""``python -m dgreid.report`` on runs of the program itself."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from small_runs import train_small

from dgreid.report.__main__ import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods with two seeds, of which one run was interrupted and one lost its result."""
    folder = tmp_path_factory.mktemp("report")
    for strategy in ("fb", "softmax_triplet"):
        for seed in (0, 1):
            words = (f"strategy={strategy}", f"seed={seed}", "evaluate_every=1")
            train_small(folder, folder / "runs" / strategy / f"seed{seed}", *words)
    return folder / "runs"


def test_a_report(runs, tmp_path, capsys):
    assert main([str(runs), "--output", str(tmp_path / "out"), "--resamples", "100"]) == 0
    shown = capsys.readouterr().out
    assert "| fb | 2 |" in shown
    assert "Against fb" in shown
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "report.md", "report.tex", "report.csv", "report.html",
    }  # fmt: skip
    with (tmp_path / "out" / "report.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["method"] == "fb"]
    results = [json.loads((runs / "fb" / f"seed{seed}" / "result.json").read_text()) for seed in (0, 1)]
    means = {
        rule: 50 * sum(row["mAP"] for result in results for row in result["rows"] if row["selection"] == rule)
        for rule in ("last", "oracle")
    }
    assert {line["selection"]: float(line["mAP"]) for line in lines} == pytest.approx(means, abs=1e-3)
    page = (tmp_path / "out" / "report.html").read_text()
    # the matrix needs two targets; CMC, training, and a ranked gallery of each method
    assert page.count("<figure>") == 1 + 1 + 2
    assert "How the checkpoint was chosen" in page


def test_words_as_the_other_commands_take_them(runs, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(runs), "baseline=softmax_triplet", f"output={out}", "formats=csv", "resamples=50"]) == 0
    assert "Against softmax_triplet" in capsys.readouterr().out
    assert [file.name for file in out.iterdir()] == ["report.csv"]


def test_a_report_that_is_there_is_refused_before_any_work(runs, tmp_path, capsys):
    (tmp_path / "report.md").write_text("mine")
    assert main(["nowhere", "--output", str(tmp_path)]) == 1
    assert "holds report.md already" in capsys.readouterr().err
    assert (tmp_path / "report.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "error: nowhere: no such folder"),
        (["RUNS", "--formats", "pdf"], "no 'pdf'; known: markdown, latex, csv, html"),
        (["RUNS", "--baseline", "m3l"], "baseline=m3l: no such row"),
        (["RUNS", "--resamples", "0"], "error: resamples=0: at least 1"),
        (["diff", "RUNS", "RUNS"], "holds 4 runs; diff compares one with one"),
    ],
)
def test_mistakes_are_told_in_a_line(runs, capsys, words, message):
    assert main([str(runs) if word == "RUNS" else word for word in words]) == 1
    assert message in capsys.readouterr().err


def test_two_runs(runs, capsys):
    assert main(["diff", str(runs / "fb" / "seed0"), str(runs / "fb" / "seed1")]) == 0
    assert "They differ in their seed alone" in capsys.readouterr().out


def test_the_state_of_a_sweep(runs, tmp_path, capsys):
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs" / "fb" / "seed1" / "result.json").unlink()
    shutil.rmtree(tmp_path / "runs" / "softmax_triplet" / "seed0")
    assert main(["status", str(tmp_path / "runs")]) == 0
    shown = capsys.readouterr().out
    assert "4 cells: 2 done, 1 interrupted, 1 missing." in shown
    assert [line.split()[-2:] for line in shown.splitlines() if "synthetic_night " in line] == [
        ["done", "interrupted"], ["missing", "done"],
    ]  # fmt: skip
