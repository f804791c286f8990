"""Protocols of one's own: five lines in a folder, swept over by the command, named and judged like the project's."""

from __future__ import annotations

import json

import pytest
from small_runs import composed, evaluate_small, train_small, typed
from test_commands import assert_message, command

from dgreid.run.protocols import UNTOLD
from dgreid.run.training import train

FIVE_LINES = """\
# @package _global_
sources: [synthetic_plaza, synthetic_campus]
target: synthetic_night
use: train
name: mine
"""
OF_A_SIZE = FIVE_LINES.replace("sources", "defaults: [override /synthetic: tiny]\nsources")
LENGTH = ("epochs=1", "steps_per_epoch=1", "logger=none")


@pytest.fixture
def groups(tmp_path):
    """A folder of one's own with two protocols."""
    folder = tmp_path / "my conf" / "protocol" / "mine"
    folder.mkdir(parents=True)
    (folder / "five_lines.yaml").write_text(FIVE_LINES, encoding="utf-8")
    (folder / "of_a_size.yaml").write_text(OF_A_SIZE, encoding="utf-8")
    return tmp_path / "my conf"


def words(data_root, runs, *overrides):
    """What is typed beside the protocol, which says the rest."""
    dropped = ("sources", "target", "synthetic")
    everything = [*typed(data_root, *LENGTH, *overrides), f"runs={runs}"]
    return [word for word in everything if word.partition("=")[0] not in dropped]


def results(runs):
    found = [json.loads(file.read_text()) for file in runs.rglob("result.json")]
    return {result["protocol"]: result for result in found}


def test_a_sweep_over_them(groups, data_root, tmp_path):
    choice = words(data_root, tmp_path / "runs", "strategy=fb,fbf")
    done = command("train.py", "-m", "--config-dir", str(groups), "protocol=glob(mine/of_*)", *choice)
    assert done.returncode == 0, done.stderr
    assert [result["variant"] for result in results(tmp_path / "runs").values()] == [[]]
    assert {result["strategy"] for result in map(json.loads, _texts(tmp_path / "runs"))} == {"fb", "fbf"}
    assert "variant:" not in done.stdout


def _texts(runs):
    return [file.read_text() for file in runs.rglob("result.json")]


def test_a_deviation_is_told_once_and_kept(groups, data_root, tmp_path):
    place = f'hydra.searchpath=["file://{groups}"]'
    choice = [place, "protocol=mine/five_lines", "synthetic=tiny", "holdout=0.2"]
    done = command("train.py", *words(data_root, tmp_path / "runs"), *choice)
    assert done.returncode == 0, done.stderr
    (result,) = results(tmp_path / "runs").values()
    assert result["protocol"] == "mine/five_lines"
    assert result["variant"][0] == "holdout is 0.2, not 0.0"
    assert "train_identities of synthetic_plaza, synthetic_campus, synthetic_night is 8, not 150" in result["variant"]
    assert done.stdout.count("variant:  of mine/five_lines: holdout is 0.2, not 0.0; ") == 1


def test_a_sweep_that_matches_nothing_starts_nothing(groups, data_root, tmp_path):
    choice = words(data_root, tmp_path / "runs")
    done = command("train.py", "-m", "--config-dir", str(groups), "protocol=glob(mein/*)", *choice)
    assert_message(done, "protocol=glob(mein/*) matches no protocol", "mine/five_lines")
    assert not (tmp_path / "runs").exists()


def test_a_run_recorded_by_an_earlier_version_is_continued_and_evaluated(data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", *LENGTH)
    for name in ("run.json", "result.json"):
        record = json.loads((folder / name).read_text())
        del record["variant"]
        (folder / name).write_text(json.dumps({**record, "protocol": "variant of synthetic/to_night"}))
    evaluate_small(data_root, folder)
    (evaluation,) = (folder / "evaluations").rglob("result.json")
    train(composed([f"resume={folder}", "epochs=2", f"data_root={data_root}"]))
    for file in (evaluation, folder / "result.json", folder / "run.json"):
        record = json.loads(file.read_text())
        assert (record["protocol"], record["variant"]) == ("synthetic/to_night", [UNTOLD])
