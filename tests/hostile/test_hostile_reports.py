"""Run folders of others in a report: whatever their files hold stays text, and nothing is looked up, run or written."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "report"))

from made_runs import make_run

from dgreid.report.__main__ import main

MARKUP = '"><script>fetch("//elsewhere")</script>'
NAME = MARKUP.replace("/", "!")


def report(folder, *words):
    return main([str(folder), "--output", str(folder.parent / "out"), "--resamples", "20", *words])


def test_a_configuration_that_names_code(tmp_path, trace, capsys):
    call = {"_target_": "os.mkdir", "path": str(trace)}
    make_run(tmp_path / "runs" / "a", config={"optim": call, "net": dict(call)})
    assert report(tmp_path / "runs") == 0
    assert main(["status", str(tmp_path / "runs")]) == 0
    assert main(["diff", str(tmp_path / "runs"), str(tmp_path / "runs")]) == 0


def test_a_configuration_that_asks_for_values_of_this_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SECRET", "hunter2")
    for seed, rate in enumerate(("${oc.env:SECRET}", "0.1")):
        make_run(tmp_path / "runs" / str(seed), config={"optim": {"lr": rate}})
    assert report(tmp_path / "runs") == 0
    for file in (tmp_path / "out").iterdir():
        assert "hunter2" not in file.read_text()
    assert "hunter2" not in capsys.readouterr().out


def test_markup_everywhere(tmp_path, capsys):
    for seed, strategy in enumerate((MARKUP, "fb")):
        make_run(
            tmp_path / "runs" / str(seed), strategy=strategy, target=NAME, group=NAME,
            config={"optim": {"lr": MARKUP}, MARKUP: seed}, variant=[MARKUP], weights={"source": MARKUP},
            environment={"device": MARKUP, "commit": MARKUP}, fingerprint=MARKUP,
        )  # fmt: skip
    assert report(tmp_path / "runs") == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<script>") == 1
    assert "&lt;script&gt;" in page
    assert re.search(r"(?<!\\)<script", (tmp_path / "out" / "report.md").read_text()) is None


def test_signs_that_steer_a_terminal(tmp_path, capsys):
    for seed in (0, 1):
        folder = make_run(tmp_path / "runs" / str(seed), seed=seed, strategy="\x1b[2Jfb", scored=False)
        (folder / "failed.json").write_text(json.dumps({"format": 1, "message": "\x1b]0;owned\x07 [red]a"}))
    assert main(["status", str(tmp_path / "runs")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]a" in shown


def test_a_formula_for_a_spreadsheet(tmp_path, capsys):
    make_run(tmp_path / "runs" / "a", strategy="=cmd|' /C calc'!A0")
    assert report(tmp_path / "runs") == 0
    assert re.search(r"(^|,)\"?=", (tmp_path / "out" / "report.csv").read_text(), re.MULTILINE) is None


@pytest.mark.parametrize("name", ["queries.csv", "metrics.csv", "pictures"])
def test_links_show_nothing_of_other_files(tmp_path, name, capsys):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "ranked_market1501.png").write_text("hunter2")
    folder = make_run(tmp_path / "runs" / "a")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret if name == "pictures" else secret / "ranked_market1501.png")
    report(tmp_path / "runs")
    said = capsys.readouterr()
    written = "".join(file.read_text() for file in (tmp_path / "out").glob("*"))
    assert "hunter2" not in said.out + said.err + written


def test_a_result_of_a_later_format_is_refused(tmp_path, capsys):
    make_run(tmp_path / "runs" / "a", format=2)
    assert report(tmp_path / "runs") == 1
    assert "has format 2, this version of dgreid reads 1" in capsys.readouterr().err
