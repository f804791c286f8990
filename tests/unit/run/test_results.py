"""Rows, the record of a result, and the table on the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_embeddings
from dgreid.run.results import Row, print_table, summary_keys, write_result
from dgreid.run.scoring import mark_selected
from dgreid.types import ReIDRecord


@pytest.fixture
def result():
    """Three queries: a match at rank 1, one at rank 2, and one without any."""
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    gallery = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    labels = Labels(torch.tensor([0, 1, 7]), torch.zeros(3, dtype=torch.int64))
    return evaluate_embeddings(
        query, gallery, labels, Labels(torch.tensor([0, 1, 2]), torch.ones(3, dtype=torch.int64))
    )


def row(result, **values):
    queries = [ReIDRecord(Path("q.jpg"), 0, 0)] * 3
    return Row(**{"target": "night", "rule": "last", "step": 40, "seen": False, "queries": queries,
                  "result": result, **values})  # fmt: skip


def test_a_row_says_all(result):
    record = row(result).record()
    assert record["mAP"] == pytest.approx((1 + 1 / 2) / 2)
    assert record["rank1"] == pytest.approx(0.5)
    assert (record["queries"], record["invalid_queries"]) == (2, 1)
    assert record["domain"] == "unseen domain"
    assert row(result, seen=True).record()["domain"] == "seen domain"


def test_the_summary_is_the_selected_rule(tmp_path, result):
    rows = [row(result), row(result, rule="oracle", step=20), row(result, rule="oracle", step=30, target="day")]
    content = json.loads(write_result(tmp_path, rows, "oracle", {"seed": 3}).read_text())
    assert content["format"] == 1
    assert content["selection"] == "oracle"
    assert content["seed"] == 3
    assert {target: summary["step"] for target, summary in content["summary"].items()} == {"night": 20, "day": 30}
    assert [(r["target"], r["selection"], r["step"]) for r in content["rows"]] == [
        ("night", "last", 40), ("night", "oracle", 20), ("day", "oracle", 30),
    ]  # fmt: skip


def test_the_table_names_rule_step_and_what_is_left_out(monkeypatch, capsys, result):
    monkeypatch.setenv("COLUMNS", "160")
    print_table([row(result, rule="initial", step=0), row(result), row(result, target="day", seen=True)])
    out = capsys.readouterr().out
    for part in ("untrained", "last", "40", "75.0", "50.0", "day (seen domain)", "mAP", "Rank-10", "mINP"):
        assert part in out
    assert out.count("night: 1 quer") == 1
    assert "no valid match" in out


def test_the_selected_checkpoint_follows(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.ckpt").write_text(name)
        assert mark_selected(tmp_path / f"{name}.ckpt").read_text() == name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.ckpt", "selected.ckpt", "two.ckpt"]
    assert (tmp_path / "one.ckpt").read_text() == "one"


def test_dashboards_get_one_number_for_each_rule_target_and_metric_and_a_mean_over_targets():
    def scored(value, **values):
        return row(SimpleNamespace(summary=lambda: {"mAP": value, "queries": 12}), **values)

    found = summary_keys([scored(0.5), scored(0.25, target="day"), scored(0.75, ranking="re-ranked")])
    assert found == {
        "last/night/mAP": 0.5, "last/night/queries": 12, "last/day/mAP": 0.25, "last/day/queries": 12,
        "last re-ranked/night/mAP": 0.75, "last re-ranked/night/queries": 12,
        "last/mAP": 0.375, "last re-ranked/mAP": 0.75,
    }  # fmt: skip
    assert summary_keys([]) == {}
