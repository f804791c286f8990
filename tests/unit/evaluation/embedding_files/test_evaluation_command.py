"""``python -m dgreid.evaluation score``: tables, files, comparison, and what is refused before any work."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgreid.evaluation.__main__ import main
from dgreid.evaluation.bootstrap import paired_difference
from dgreid.evaluation.expansion import average_query_expansion
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.open_set import open_set_rates, open_set_scores, threshold_for
from dgreid.evaluation.ranking import evaluate_blocks, evaluate_embeddings
from dgreid.evaluation.reranking import reranked_blocks
from dgreid.evaluation.similarity import embedding_blocks

PEOPLE, CAMERAS, SHOTS, WIDTH = 12, 3, 2, 8
IDENTITIES = np.repeat(np.arange(PEOPLE), CAMERAS * SHOTS)
CAMERA = np.tile(np.repeat(np.arange(CAMERAS), SHOTS), PEOPLE)
SPLIT = np.where(np.arange(IDENTITIES.size) % SHOTS == 0, "query", "gallery")
PATHS = np.array([f"c{camera}/{row}.png" for row, camera in enumerate(CAMERA)])


def embeddings(noise, seed=0):
    generator = np.random.default_rng(seed)
    people = generator.normal(size=(PEOPLE, WIDTH))[IDENTITIES]
    found = people + noise * generator.normal(size=people.shape)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def write(file, noise=1.0, order=None, **changes):
    arrays = {"embedding": embeddings(noise), "identity": IDENTITIES, "camera": CAMERA, "split": SPLIT, "path": PATHS}
    arrays = {name: value for name, value in {**arrays, **changes}.items() if value is not None}
    rows = np.arange(IDENTITIES.size) if order is None else order
    np.savez(file, **{name: value[rows] for name, value in arrays.items()})
    return file


def problem(noise=1.0):
    """Embeddings and labels of queries and gallery, as any user would cut them."""
    found, query = embeddings(noise), SPLIT == "query"
    labels = Labels(IDENTITIES[query], CAMERA[query]), Labels(IDENTITIES[~query], CAMERA[~query])
    return found[query], found[~query], *labels


def run(capsys, *arguments):
    code = main(["score", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def scored(capsys, tmp_path, monkeypatch):
    """Runs a command that succeeds, without pictures, which take the longest: what it writes and prints."""

    def score(*arguments):
        for name in ("evaluation_pictures", "write_curves"):
            monkeypatch.setattr(f"dgreid.evaluation.embedding_files.command.{name}", lambda *_: [])
        code, out, err = run(capsys, *arguments, "--output", tmp_path / "out")
        assert (code, err) == (0, "")
        return json.loads((tmp_path / "out" / "result.json").read_text()), out

    return score


def cells(out, first):
    """The numbers of the rows whose first word is given."""
    rows = [line.split() for line in out.splitlines()]
    return [row[1:] for row in rows if row and row[0] == first]


def test_figures_of_a_file_are_those_of_its_embeddings(capsys, tmp_path):
    expected = evaluate_embeddings(*problem()).summary()
    code, out, err = run(capsys, write(tmp_path / "mine.npz"))
    assert (code, err) == (0, "")
    shown = [f"{100 * expected[key]:.1f}" for key in ("mAP", "rank1", "rank5", "rank10", "mINP")]
    assert cells(out, "mine") == [["cosine", *shown]]
    assert "0.0" not in shown[:2]
    assert "100.0" not in shown[:2]


def test_result_holds_rows_summary_files_and_options(scored, tmp_path):
    path = write(tmp_path / "mine.npz")
    result, out = scored(path)
    expected = evaluate_embeddings(*problem()).summary()
    row = {
        "target": "mine", "selection": "embeddings", "step": None, "domain": "not known whether seen",
        "ranking": "cosine", **expected,
    }  # fmt: skip
    assert (result["format"], result["summary"], result["rows"], result["differences"]) == (1, {"mine": row}, [row], [])
    assert result["files"] == [
        {
            "name": "mine", "path": str(path), "weights_hash": None, "list_hash": None, "dimension": WIDTH,
            "scaled_to_unit_length": False, "query": {"images": 36, "identities": 12},
            "gallery": {"images": 36, "identities": 12},
        }
    ]  # fmt: skip
    assert result["options"]["same_camera"] == "ignore"
    assert result["options"]["comparing"] is None
    assert f"results:  {tmp_path / 'out' / 'result.json'}" in out


def test_table_of_queries(scored, tmp_path):
    scored(write(tmp_path / "mine.npz"))
    with (tmp_path / "out" / "queries.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = evaluate_embeddings(*problem())
    assert [row["path"] for row in rows] == PATHS[SPLIT == "query"].tolist()
    assert [float(row["AP"]) for row in rows] == expected.average_precision.tolist()
    assert [int(row["first_rank"]) for row in rows] == expected.first_rank.tolist()


def test_further_rankings_equal_the_functions(scored, tmp_path):
    path = write(tmp_path / "mine.npz")
    options = ["--rerank", "--k1", 5, "--k2", 3, "--weight", 0.4, "--distance", "squared", "--expand", 2, "--alpha", 2]
    result, out = scored(path, *options, "--open-set", 0.1)
    query, gallery, *labels = problem()
    expanded = average_query_expansion(query, gallery, 2, 2.0)
    blocks = [
        embedding_blocks(query, gallery),
        embedding_blocks(expanded, gallery),
        reranked_blocks(expanded, gallery, 5, 3, 0.4, "squared"),
    ]
    for row, block in zip(result["rows"], blocks, strict=True):
        assert row["mAP"] == evaluate_blocks(block, *labels).mean_average_precision
    assert len({row["mAP"] for row in result["rows"]}) == 3
    assert result["summary"]["mine"] == result["rows"][0]
    assert ["open_set" in row for row in result["rows"]] == [True, False, False]  # a threshold is one of cosines
    assert [line[0] for line in cells(out, "mine")[:3]] == ["cosine", "expanded", "expanded,"]
    assert result["options"]["expansion"] == {"k": 2, "alpha": 2}
    assert result["options"]["reranking"] == {"k1": 5, "k2": 3, "weight": 0.4, "distance": "squared"}
    assert sorted(path.name for path in (tmp_path / "out").glob("*.csv")) == [
        "queries.csv", "queries_2.csv", "queries_3.csv",
    ]  # fmt: skip


def test_further_figures_are_shown_and_kept(scored, tmp_path):
    result, out = scored(write(tmp_path / "mine.npz"), "--roc", "--single-shot", 3, "--camera-pairs")
    [row] = result["rows"]
    assert 0 < row["verification"]["TAR@FAR=1e-2"] < 1
    assert row["verification"]["TAR@FAR=1e-4"] is None  # too few pairs
    assert row["single_shot"]["single_shot_repeats"] == 3
    assert list(row["camera_pairs"]) == ["0->1", "0->2", "1->0", "1->2", "2->0", "2->1"]
    tar, pairs = row["verification"]["TAR@FAR=1e-2"], row["camera_pairs"]["0->2"]
    assert ["cosine", f"{100 * tar:.1f}", "0.0", "-", "72", "1,188"] in cells(out, "mine")
    assert ["cosine", "0->2", "12", f"{100 * pairs['mAP']:.1f}", f"{100 * pairs['rank1']:.1f}"] in cells(out, "mine")


@pytest.mark.parametrize("held_out", [False, True])
def test_not_in_the_gallery(scored, tmp_path, held_out):
    other = write(tmp_path / "other.npz", 0.5)
    options = ["--held-out", other] if held_out else []
    result, out = scored(write(tmp_path / "mine.npz"), "--open-set", 0.1, *options)
    of, where = ((query, gallery, *labels) for query, gallery, *labels in (problem(), problem(0.5)))
    scores = open_set_scores(embedding_blocks(*of[:2]), *of[2:])
    source = open_set_scores(embedding_blocks(*where[:2]), *where[2:]) if held_out else scores
    expected = open_set_rates(scores, threshold_for(source.best_other, 0.1)).summary()
    assert result["rows"][0]["open_set"] == {"0.1": expected}
    assert ["cosine", "0.1", f"{100 * expected['TPIR']:.1f}"] in [found[:3] for found in cells(out, "mine")]
    assert result["options"]["held_out"] == (str(other) if held_out else None)


def test_same_camera_and_unknown_cameras(capsys, tmp_path):
    plain = run(capsys, write(tmp_path / "mine.npz"))[1]
    kept = run(capsys, tmp_path / "mine.npz", "--same-camera", "keep")[1]
    unknown = run(capsys, write(tmp_path / "mine.npz", camera=np.full_like(CAMERA, -1)))[1]
    expected = evaluate_embeddings(*problem(), same_camera="keep").summary()
    assert cells(kept, "mine") == cells(unknown, "mine") != cells(plain, "mine")
    assert cells(kept, "mine")[0][1] == f"{100 * expected['mAP']:.1f}"


def test_queries_without_a_match_and_lengths_are_told(capsys, tmp_path):
    identities = np.where((IDENTITIES == 3) & (SPLIT == "query"), 99, IDENTITIES)
    out = run(capsys, write(tmp_path / "mine.npz", identity=identities, embedding=5 * embeddings(1.0)))[1]
    assert "mine: not at unit length, so scaled to it" in out
    assert "3 queries have no valid match in the gallery and are not counted" in out


METHODS = {"worse": 1.2, "better": 0.9, "middle": 1.0}


def write_methods(folder, **changes):
    folder.mkdir()
    for name, noise in METHODS.items():
        write(folder / f"{name}.npz", noise, **changes)
    return folder


@pytest.mark.parametrize("unit", ["query", "identity"])
def test_a_folder_of_methods_is_compared(scored, tmp_path, unit):
    folder = write_methods(tmp_path / "methods")
    options = ["--baseline", "middle", "--unit", unit, "--resamples", 200, "--seed", 4]
    result, out = scored(folder, *options)
    results = {name: evaluate_embeddings(*problem(noise)) for name, noise in METHODS.items()}
    assert {name: row["mAP"] for name, row in result["summary"].items()} == {
        name: found.mean_average_precision for name, found in results.items()
    }
    assert [(one["method"], one["baseline"], one["unit"]) for one in result["differences"]] == [
        ("better", "middle", unit), ("worse", "middle", unit),
    ]  # fmt: skip
    groups = IDENTITIES[SPLIT == "query"] if unit == "identity" else None
    for one in result["differences"]:
        pair = results[one["method"]].average_precision, results["middle"].average_precision
        expected = paired_difference(*pair, groups, 200, 4)
        assert one["mAP"] == expected._asdict()
        shown = [f"{100 * expected.low:+.1f}", "to", f"{100 * expected.high:+.1f}"]
        assert shown in [found[1:4] for found in cells(out, one["method"])]
        gain = f"{100 * expected.difference:+.1f}" + ("*" if expected.excludes_zero else "")
        assert gain in [found[0] for found in cells(out, one["method"])]
    assert "*" in out.partition("excludes 0")[2]
    drawn = "12 identities" if unit == "identity" else "36 queries"
    assert f"95 % intervals of 200 paired resamples of {drawn}" in out
    assert (tmp_path / "out" / "better" / "queries.csv").is_file()


def test_the_order_of_images_does_not_matter_where_there_are_paths(scored, tmp_path):
    order = np.random.default_rng(0).permutation(IDENTITIES.size)
    one, other = write(tmp_path / "one.npz"), write(tmp_path / "other.npz", order=order)
    result, out = scored(one, other)
    [difference] = result["differences"]
    assert [difference["mAP"][key] for key in ("difference", "low", "high")] == [0, 0, 0]
    assert "not all files have paths" not in out


def test_without_paths_the_order_is_taken_for_the_images(capsys, tmp_path):
    out = run(capsys, write_methods(tmp_path / "methods", path=None), "--resamples", 10)[1]
    assert "not all files have paths: images were taken to be the same in the order of the files" in out


def test_pictures_without_images_and_with(capsys, tmp_path):
    path = write(tmp_path / "mine.npz")
    out = run(capsys, path, "--output", tmp_path / "out")[1]
    drawn = {"cmc.png", "precision_recall.png", "similarities_mine.png", "embeddings.png"}
    assert {picture.name for picture in (tmp_path / "out" / "pictures").iterdir()} == drawn
    assert re.search(r"no ranked galleries of mine: there is no c\d/\d+.png; say with --images where the paths", out)
    out = run(capsys, write(tmp_path / "bare.npz", path=None), "--output", tmp_path / "bare")[1]
    assert "no ranked galleries of bare: the file has no paths" in out
    for camera in range(CAMERAS):
        (tmp_path / "images" / f"c{camera}").mkdir(parents=True)
    for row, name in enumerate(PATHS):
        Image.new("RGB", (4, 8), (3 * row, 0, 0)).save(tmp_path / "images" / name)
    code, out, _ = run(capsys, path, "--output", tmp_path / "again", "--images", tmp_path / "images")
    assert code == 0
    assert {picture.name for picture in (tmp_path / "again" / "pictures").iterdir()} == {*drawn, "ranked_mine.png"}
    assert "no ranked galleries" not in out


def test_pictures_of_several_methods(capsys, tmp_path):
    run(capsys, write_methods(tmp_path / "methods"), "--resamples", 10, "--output", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out" / "pictures").iterdir()} == {"cmc.png", "precision_recall.png"}
    assert (tmp_path / "out" / "worse" / "pictures" / "similarities_worse.png").is_file()


def refused(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    return err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--k1", 20], "--k1 belongs to --rerank: give both, or neither"),
        (["--alpha", 1], "--alpha belongs to --expand"),
        (["--held-out", "x.npz"], "--held-out belongs to --open-set"),
        (["--images", "x"], "--images belongs to --output"),
        (["--baseline", "mine"], "--baseline, --unit, --resamples and --seed compare methods: give several files"),
        (["--resamples", 5], "compare methods: give several files"),
        (["--open-set", 0.1, "--held-out", "none.npz"], "none.npz: there is no such file of embeddings"),
        (["--open-set", 1.5], "--open-set 1.5: give a share between 0 and 1"),
        (["--open-set", 0], "--open-set 0: give a share between 0 and 1"),
        (["--open-set", "nan"], "--open-set nan: give a share between 0 and 1"),
        (["--rerank", "--k1", 0], "k1=0: give a whole number of images, 1 or more"),
        (["--rerank", "--k2", -1], "k2=-1: give a whole number of images, 1 or more"),
        (["--rerank", "--weight", 1.5], "weight=1.5: give the share of the original distance"),
        (["--expand", 0], "k=0: give a whole number"),
        (["--single-shot", -1], "single_shot_repeats=-1"),
        (["--memory-limit", 0], "memory_limit=0"),
    ],
)
def test_options_that_do_not_go_together_or_are_out_of_range(capsys, tmp_path, monkeypatch, options, message):
    monkeypatch.setattr("dgreid.evaluation.embedding_files.command.score_file", None)  # nothing is scored before
    assert message in refused(capsys, write(tmp_path / "mine.npz"), *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resamples", 0], "--resamples 0: at least 1, for instance 10000"),
        (["--seed", -1], "--seed -1: a whole number, not negative"),
    ],
)
def test_numbers_of_a_comparison_are_checked_before_the_scoring(capsys, tmp_path, monkeypatch, options, message):
    monkeypatch.setattr("dgreid.evaluation.embedding_files.command.score_file", None)
    assert message in refused(capsys, write_methods(tmp_path / "methods"), *options)


def test_a_threshold_of_another_net_is_refused(capsys, tmp_path):
    files = [write(tmp_path / f"{name}.npz") for name in ("mine", "same", "other")]
    for file, weights in zip(files, ("a" * 64, "a" * 64, "b" * 64), strict=True):
        arrays = dict(np.load(file))
        np.savez(file, **arrays, weights_hash=np.array(weights))
    options = [files[0], "--open-set", 0.1, "--held-out"]
    message = refused(capsys, *options, files[2])
    assert "other.npz: made with the weights bbbbbbbbbbbb, " in message
    assert "a threshold holds for the scores of one net" in message
    assert run(capsys, *options, files[1])[0] == 0


def test_what_few_images_cannot_tell_is_said(capsys, tmp_path):
    methods = write_methods(tmp_path / "methods")
    out = run(capsys, methods, "--unit", "identity", "--resamples", 10, "--roc", "--open-set", 0.01)[1]
    assert "-: too few impostor pairs to tell the rate\n" in out
    assert "36 searches cannot tell a rate of 0.01: the threshold lies above all that they found\n" in out
    assert "intervals of 12 units are too narrow; about 30 or more are wanted\n" in out
    out = run(capsys, methods, "--resamples", 10, "--open-set", 0.05)[1]
    assert "cannot tell" not in out
    assert "too narrow" not in out


def test_titles_of_columns_are_whole_where_names_are_long(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path = write(tmp_path / "a_method_whose_name_is_really_long_for_a_table.npz")
    out = run(capsys, path, "--rerank", "--expand", 2, "--roc", "--single-shot", 2, "--camera-pairs")[1]
    titles = [line.split() for line in out.splitlines() if line.startswith("embeddings")]
    assert [title[:2] for title in titles] == [["embeddings", "ranking"]] * 4
    assert titles[1][2:] == ["1e-2", "1e-3", "1e-4", "genuine", "impostors"]
    assert titles[2][2:] == ["Rank-1", "Rank-5", "Rank-10", "±", "Rank-1", "draws", "queries"]
    assert len(re.findall(r" re-ranked\b", out)) == 3 + 6, "a ranking is not cut within a word"
    assert max(map(len, out.splitlines())) <= 80


def test_methods_on_other_images_are_refused_before_anything_is_scored(capsys, tmp_path, monkeypatch):
    folder = write_methods(tmp_path / "methods")
    write(folder / "zebra.npz", identity=np.where(IDENTITIES == 3, 4, IDENTITIES))
    monkeypatch.setattr("dgreid.evaluation.embedding_files.command.score_file", None)
    message = refused(capsys, folder)
    assert re.search(r"zebra.npz: identity of query image 9 \(c0/18.png\) is 4, in better.npz it is 3", message)
    assert "--baseline=nobody: known: better" in refused(capsys, folder, "--baseline", "nobody")
    assert "--held-out gives a threshold that holds for one net alone" in refused(
        capsys, folder, "--open-set", 0.1, "--held-out", folder / "better.npz"
    )


def test_nothing_is_overwritten(capsys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    for place in (tmp_path / "out", tmp_path / "out" / "thesis.txt"):
        message = refused(capsys, write(tmp_path / "mine.npz"), "--output", place)
        assert "exists and is not empty; choose another folder or remove it" in message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_images_that_are_elsewhere_are_refused(capsys, tmp_path):
    path, out = write(tmp_path / "mine.npz"), ["--output", tmp_path / "out"]
    message = refused(capsys, path, *out, "--images", tmp_path / "elsewhere")
    assert f"there is no {tmp_path / 'elsewhere' / 'c0' / '0.png'}; name the folder of the paths" in message
    assert "has no paths" in refused(capsys, write(path, path=None), *out, "--images", tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_malformed_file_is_told_without_a_stack(tmp_path):
    (tmp_path / "mine.npz").write_bytes(b"no archive")
    command = [sys.executable, "-m", "dgreid.evaluation", "score", "mine.npz"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: mine.npz is no .npz file")
    assert len(done.stderr.splitlines()) == 1


def test_the_documented_lines_of_numpy_write_a_file_that_is_scored(capsys, tmp_path, monkeypatch):
    text = (Path(__file__).parents[4] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    [code] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "np.savez" in block]
    assert len([line for line in code.splitlines() if line and not line.startswith("import")]) == 5
    query_features, gallery_features, query, gallery = problem()
    names = {
        "query_features": query_features, "gallery_features": gallery_features,
        "query_identities": query.identities, "gallery_identities": gallery.identities,
        "query_cameras": query.cameras, "gallery_cameras": gallery.cameras,
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    exec(code, names)
    expected = evaluate_embeddings(*problem()).summary()
    out = run(capsys, "mine.npz")[1]
    assert cells(out, "mine")[0][1:3] == [f"{100 * expected['mAP']:.1f}", f"{100 * expected['rank1']:.1f}"]
