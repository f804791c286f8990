"""What an evaluation may be asked for besides the plain figures: rankings, figures, thresholds, embeddings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_runs import evaluate_small, train_small

from dgreid.errors import InputError
from dgreid.evaluation.__main__ import main as score_embeddings
from dgreid.evaluation.embedding_files import GALLERY, QUERY, read_embeddings
from dgreid.evaluation.expansion import average_query_expansion
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_blocks, evaluate_embeddings
from dgreid.evaluation.reranking import reranked_blocks

TARGET = "synthetic_night"


def read(folder):
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def newest(folder):
    return max((folder / "evaluations").iterdir(), key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture(scope="module")
def run(data_root, tmp_path_factory):
    """A run that held people of its sources out."""
    return train_small(data_root, tmp_path_factory.mktemp("choices") / "run", "strategy=fb", "holdout=0.34")


@pytest.fixture(scope="module")
def exported(run, data_root):
    """Its embeddings of the target."""
    file = run.parent / "embeddings.npz"
    evaluate_small(data_root, run, f"export={file}")
    return read_embeddings(file)


def sides(embeddings):
    query, gallery = embeddings.rows(QUERY), embeddings.rows(GALLERY)
    labels = [Labels(embeddings.identities[rows], embeddings.cameras[rows]) for rows in (query, gallery)]
    return embeddings.embeddings[query], embeddings.embeddings[gallery], *labels


def test_exported_embeddings_score_as_the_run_does(run, exported) -> None:
    result = evaluate_embeddings(*sides(exported))
    row = read(run)["summary"][TARGET]
    assert result.mean_average_precision == pytest.approx(row["mAP"], abs=1e-6)
    assert exported.paths is not None
    assert len(set(exported.paths)) == len(exported.paths)
    assert len(exported.weights_hash) == len(exported.list_hash) == 64


def test_the_command_scores_exported_embeddings_as_the_run_does(run, exported, data_root, tmp_path) -> None:
    first = str(exported.paths[0])
    images = str(next(data_root.rglob(first))).removesuffix(first)
    words = [str(run.parent / "embeddings.npz"), "--output", str(tmp_path / "scores"), "--images", images]
    assert score_embeddings(["score", *words]) == 0
    scored, expected = read(tmp_path / "scores")["summary"]["embeddings"], read(run)["summary"][TARGET]
    for key in ("mAP", "rank1", "rank5", "rank10", "mINP", "queries", "invalid_queries"):
        assert scored[key] == pytest.approx(expected[key], abs=1e-6)
    assert (tmp_path / "scores" / "pictures" / "ranked_embeddings.png").is_file()


def test_where_embeddings_go_does_not_name_the_results(exported, run) -> None:
    assert (run / "evaluations" / f"{TARGET}_selected" / "result.json").is_file()


def test_a_file_that_exists_is_not_overwritten(run, exported, data_root) -> None:
    with pytest.raises(InputError, match=r"embeddings\.npz exists already"):
        evaluate_small(data_root, run, f"export={run.parent / 'embeddings.npz'}")


def test_several_checkpoints_have_a_file_each(run, data_root, tmp_path) -> None:
    evaluate_small(data_root, run, f"export={tmp_path / 'e.npz'}", "checkpoint=[initial,last]")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"e_{TARGET}_initial.npz", f"e_{TARGET}_last.npz"]


def test_further_rankings_are_rows_of_their_own(run, exported, data_root) -> None:
    evaluate_small(data_root, run, "reranking=k_reciprocal", "expansion=alpha", "reranking.k1=5",
                   "reranking.k2=3", "expansion.k=2")  # fmt: skip
    result = read(newest(run))
    plain, expanded, reranked = result["rows"]
    assert result["summary"] == {TARGET: plain}
    assert [plain["ranking"], expanded["ranking"]] == ["cosine", "expanded"]
    assert reranked["ranking"] == "expanded, re-ranked"
    assert result["metric"]["reranking"] == {"k1": 5, "k2": 3, "weight": 0.3, "distance": "euclidean"}
    assert result["metric"]["expansion"] == {"k": 2, "alpha": 3.0}
    query, gallery, *labels = sides(exported)
    wider = average_query_expansion(query, gallery, 2, 3.0)
    assert expanded["mAP"] == pytest.approx(evaluate_embeddings(wider, gallery, *labels).mean_average_precision)
    again = evaluate_blocks(reranked_blocks(wider, gallery, k1=5, k2=3), *labels)
    assert reranked["mAP"] == pytest.approx(again.mean_average_precision)
    assert plain["mAP"] == pytest.approx(read(run)["summary"][TARGET]["mAP"])


def test_figures_are_in_the_row(run, data_root) -> None:
    evaluate_small(data_root, run, "metric.single_shot_repeats=2", "metric.camera_pairs=true")
    (row,) = read(newest(run))["rows"]
    assert {"verification", "single_shot", "camera_pairs", "open_set"} <= row.keys()
    assert 0 < row["single_shot"]["single_shot_rank1"] <= 1


def test_faiss_and_blocks_agree_and_flip_does_not(run, data_root) -> None:
    found = {}
    for choice in ("metric.search=faiss", "metric.search=blocks", "metric.flip=true"):
        evaluate_small(data_root, run, choice)
        found[choice] = read(newest(run))
    faiss, blocks, flip = found.values()
    assert faiss["rows"][0]["mAP"] == pytest.approx(blocks["rows"][0]["mAP"], abs=1e-6)
    assert flip["rows"][0]["mAP"] != blocks["rows"][0]["mAP"]
    assert [result["preprocessing"]["flip_average"] for result in found.values()] == [False, False, True]


def test_images_of_the_same_camera_may_count(run, data_root) -> None:
    evaluate_small(data_root, run, "metric.same_camera=keep")
    kept = read(newest(run))
    assert kept["rows"][0]["queries"] >= read(run)["rows"][0]["queries"]
    assert kept["rows"][0]["mAP"] != read(run)["rows"][0]["mAP"]


def test_a_run_stores_thresholds_and_what_they_reach(run) -> None:
    result = read(run)
    stored = result["open_set"]
    assert list(stored["thresholds"]) == ["0.01", "0.05", "0.1"]
    thresholds = list(stored["thresholds"].values())
    assert thresholds == sorted(thresholds, reverse=True)
    assert stored["queries"] > 0
    reached = result["summary"][TARGET]["open_set"]
    assert [cell["open_set_threshold"] for cell in reached.values()] == thresholds
    for cell in reached.values():
        assert 0 <= cell["FPIR"] <= 1
        assert 0 <= cell["TPIR"] <= 1


def test_what_thresholds_reach_follows_from_the_embeddings(run, exported) -> None:
    query, gallery, who, whom = sides(exported)
    similarities = query @ gallery.T
    same = np.asarray(who.identities)[:, None] == np.asarray(whom.identities)
    ignored = same & (np.asarray(who.cameras)[:, None] == np.asarray(whom.cameras))
    allowed = np.where(ignored, -np.inf, similarities)
    others = np.where(same, -np.inf, similarities).max(axis=1)
    right = np.take_along_axis(same, allowed.argmax(axis=1)[:, None], axis=1)[:, 0]
    for cell in read(run)["summary"][TARGET]["open_set"].values():
        threshold = cell["open_set_threshold"]
        assert cell["FPIR"] == pytest.approx(np.mean(others >= threshold))
        assert cell["TPIR"] == pytest.approx(np.mean((allowed.max(axis=1) >= threshold) & right))


def test_thresholds_of_other_embeddings_are_not_used(run, data_root) -> None:
    evaluate_small(data_root, run)
    assert "open_set" in read(newest(run))["rows"][0]
    file = run / "checkpoints" / "last.ckpt"  # as many steps, but nothing says of which run
    for choice in ("metric.flip=true", "checkpoint=initial", f"checkpoint={file}"):
        evaluate_small(data_root, run, choice)
        assert "open_set" not in read(newest(run))["rows"][0], choice


def test_a_run_without_held_out_people_has_no_thresholds(data_root, tmp_path) -> None:
    result = read(train_small(data_root, tmp_path / "run", "strategy=fb"))
    assert result["open_set"] is None
    assert "open_set" not in result["rows"][0]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("metric.same_camera=drop", r"metric\.same_camera=drop: .*known: ignore, keep"),
        ("metric.search=fais", r"metric\.search=fais: did you mean 'faiss'"),
        ("metric.single_shot_repeats=-1", r"metric\.single_shot_repeats=-1"),
        ("metric.false_accept_rates=[2.0]", r"false_accept_rates.*2"),
        ("metric.open_set_rates=[1.5]", r"open_set_rates.*1\.5"),
        ("metric.memory_limit=-1", r"memory_limit.*-1"),
    ],
)
def test_wrong_choices_are_refused_before_anything_is_embedded(run, data_root, choice, message, capsys) -> None:
    with pytest.raises(Exception, match=message):
        evaluate_small(data_root, run, choice)
    assert "evaluating on" not in capsys.readouterr().out
