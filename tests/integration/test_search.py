"""Who is this: a small run, its synthetic domains, one's own photos, and the commands as they are typed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from PIL import Image
from small_runs import composed, train_small

from dgreid.data.images import FileCrops
from dgreid.data.transforms import as_tensor, normalise
from dgreid.errors import InputError
from dgreid.run.load import load_run
from dgreid.search.__main__ import as_override
from dgreid.search.commands import add, index_images, query

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {"index": index_images, "add": add, "query": query}


@pytest.fixture(scope="module")
def trained(data_root, tmp_path_factory):
    """A small run, with an index of its target's gallery."""
    run = train_small(data_root, tmp_path_factory.mktemp("search") / "run", "epochs=1")
    search(data_root, "index", f"run={run}", "gallery=synthetic_night")
    return run


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def photos(data_root, tmp_path):
    """One's own photos: some people of a domain, without what their names said."""
    found = sorted(data_root.glob("**/synthetic_plaza*/bounding_box_test/*.jpg"))
    for number, path in enumerate(found[:9]):
        (tmp_path / "photos" / "a b").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "photos" / ("a b" if number % 2 else ".") / f"photo {number}.jpg")
    return tmp_path / "photos"


def search(data_root: Path, action: str, *words: str) -> None:
    """One of the commands, in this process; what it composes is forgotten afterwards."""
    try:
        COMMANDS[action](composed([f"data_root={data_root}", "accelerator=cpu", *words], f"search_{action}"))
    finally:
        HydraConfig.instance().cfg = None


def answers(folder: Path) -> dict:
    return json.loads((folder / "answers.json").read_text())


def embedded(run: Path, paths: list[str]) -> np.ndarray:
    """What the run's own net makes of images."""
    loaded = load_run(run)
    crops = FileCrops(loaded.config.data.height, loaded.config.data.width)([Path(path) for path in paths])
    with torch.inference_mode():
        return loaded.inference_net(normalise(as_tensor(np.stack(crops)))).numpy()


def test_queries_of_the_target_find_what_the_run_s_net_finds_alike(run, data_root, tmp_path, capsys):
    search(data_root, "query", f"run={run}", "images=synthetic_night", "top=1000", f"output={tmp_path / 'out'}")
    said = answers(tmp_path / "out")
    gallery = sorted({hit["path"] for hit in said["queries"][0]["hits"]})
    assert len(gallery) == said["index"]["images"] == len(said["queries"][0]["hits"])
    paths = [asked["path"] for asked in said["queries"]]
    scores = embedded(run, paths) @ embedded(run, gallery).T
    for row, asked in zip(scores, said["queries"], strict=True):
        found = {hit["path"]: hit["score"] for hit in asked["hits"]}
        np.testing.assert_allclose([found[path] for path in gallery], row, atol=1e-5)
        assert [hit["score"] for hit in asked["hits"]] == sorted(found.values(), reverse=True)
        assert Path(asked["path"]).name.startswith(f"{int(asked['identity']):04}_c{int(asked['camera']) + 1}_")
    text = capsys.readouterr().out
    assert "rank" in text
    assert f"page:     {tmp_path / 'out' / 'answers.html'}" in text
    assert "data:image/jpeg;base64," in (tmp_path / "out" / "answers.html").read_text()


def test_one_s_own_photos_find_themselves_and_can_become_more(run, photos, data_root, tmp_path, capsys):
    late = tmp_path / "late.jpg"
    shutil.move(photos / "photo 8.jpg", late)
    search(data_root, "index", f"run={run}", f"gallery={photos}")
    assert "indexed:  8 images" in capsys.readouterr().out
    search(data_root, "query", f"run={run}", "name=photos", f'images="{late}"', "top=3")
    folder = run / "search" / "photos"
    (before,) = answers(folder / "answers" / "1")["queries"]
    assert len(before["hits"]) == 3
    assert all(hit["identity"] is hit["camera"] is None for hit in before["hits"])
    shutil.copy(late, photos / "new.jpg")
    search(data_root, "add", f"run={run}", "name=photos", f"images={photos}")
    assert "added:    1 image (8 were in it already)" in capsys.readouterr().out
    search(data_root, "query", f"folder={folder}", f"images={late}", "top=1")
    (after,) = answers(folder / "answers" / "2")["queries"]
    assert after["hits"][0]["path"] == str(photos / "new.jpg")
    assert after["hits"][0]["score"] == pytest.approx(1, abs=1e-5)
    before = (folder / "metadata.json").read_text()
    search(data_root, "add", f"run={run}", "name=photos", f"images={photos}")
    assert "added:    nothing; all 9 images are in " in capsys.readouterr().out
    assert (folder / "metadata.json").read_text() == before


def test_a_list_says_who_it_is_in_words(run, photos, data_root, tmp_path, capsys):
    (photos / "people.csv").write_text("path,identity,camera\nphoto 0.jpg,anna,door\na b/photo 1.jpg,ben,\n")
    search(data_root, "index", f"run={run}", f"gallery={photos / 'people.csv'}")
    search(data_root, "query", f"run={run}", "name=people", f'images="{photos / "photo 0.jpg"}"', "top=5")
    (asked,) = answers(run / "search" / "people" / "answers" / "1")["queries"]
    assert [(hit["identity"], hit["camera"]) for hit in asked["hits"]] == [("anna", "door"), ("ben", None)]
    assert "anna" in capsys.readouterr().out


def test_another_kind_is_made_without_images_or_net(run, data_root, capsys):
    source = run / "search" / "synthetic_night"
    (run / "checkpoints").rename(run / "away")
    search(data_root, "index", f"gallery={source}", "kind=HNSW8", "parameters='efSearch=64'", "float16=true")
    made = run / "search" / "synthetic_night-HNSW8"
    metadata = json.loads((made / "metadata.json").read_text())
    assert metadata["recall"]["at_1"] > 0.9
    assert (metadata["kind"], metadata["parameters"]) == ("HNSW8", "efSearch=64")
    assert "finds the nearest image in" in capsys.readouterr().out
    (run / "away").rename(run / "checkpoints")
    for name in ("synthetic_night", "synthetic_night-HNSW8"):
        search(data_root, "query", f"run={run}", f"name={name}", "images=synthetic_night", "top=1")
    exact, graph = (answers(folder / "answers" / "1")["queries"] for folder in (source, made))
    for one, other in zip(exact, graph, strict=True):
        assert other["hits"][0]["score"] == pytest.approx(one["hits"][0]["score"], abs=2e-3)
    with pytest.raises(InputError, match="whose embeddings are taken as they are; leave run out"):
        search(data_root, "index", f"gallery={source}", f"run={run}", "name=third")


def test_nobody_below_the_threshold_of_the_run(run, data_root, tmp_path, capsys):
    with pytest.raises(InputError, match=r"has no thresholds, .* Train with holdout=0.1"):
        search(data_root, "query", f"run={run}", "images=synthetic_night", "false_accept_rate=0.01")
    result = json.loads((run / "result.json").read_text())
    search(data_root, "query", f"run={run}", "images=synthetic_night", f"output={tmp_path / 'all'}")
    best = np.array([asked["hits"][0]["score"] for asked in answers(tmp_path / "all")["queries"]])
    threshold = float(np.median(best)) + 1e-5
    thresholds = {"thresholds": {"0.01": threshold}, "queries": 6, "gallery_images": 12, "true_accepts": {"0.01": 1.0}}
    result["open_set"] = {"step": load_run(run).step, "flip": False, **thresholds}
    (run / "result.json").write_text(json.dumps(result))
    words = (f"run={run}", "images=synthetic_night", "false_accept_rate=0.01", f"output={tmp_path / 'some'}")
    search(data_root, "query", *words)
    said = answers(tmp_path / "some")
    assert [asked["nobody"] for asked in said["queries"]] == (best < threshold).tolist()
    assert 0 < sum(best < threshold) < len(best)
    assert said["threshold"] == {"value": threshold, "false_accept_rate": 0.01, "gallery_images": 12, "searches": 6}
    assert "nobody in the gallery" in (tmp_path / "some" / "answers.html").read_text()
    assert (
        "6 searches for held-out people of the sources in a gallery of 12 images. So few cannot tell"
        in capsys.readouterr().out
    )


def test_embeddings_of_another_net_are_refused(run, data_root):
    with pytest.raises(
        InputError, match=r"was made with the weights \w{12} .* not with the weights .*checkpoint initial"
    ):
        search(data_root, "query", f"run={run}", "images=synthetic_night", "checkpoint=initial")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("  height: 64\n  width: 32\n", "  height: 96\n  width: 32\n"))
    with pytest.raises(InputError, match=r"was made with another preprocessing \(height was 64 and is 96\)"):
        search(data_root, "add", f"run={run}", "images=synthetic_plaza")


def test_unreadable_images_are_named_or_left_out(run, photos, data_root, capsys):
    (photos / "broken.jpg").write_text("no image")
    with pytest.raises(InputError, match=r"1 of 10 images cannot be read, and nothing was done (.|\n)*broken.jpg"):
        search(data_root, "index", f"run={run}", f"gallery={photos}")
    assert not (run / "search" / "photos").exists()
    search(data_root, "index", f"run={run}", f"gallery={photos}", "skip_unreadable=true")
    assert "broken.jpg" in (run / "search" / "photos" / "skipped.txt").read_text()
    search(data_root, "query", f"run={run}", "name=photos", f"images={photos}", "skip_unreadable=true", "top=1")
    said = answers(run / "search" / "photos" / "answers" / "1")
    assert [Path(left["path"]).name for left in said["skipped"]] == ["broken.jpg"]
    assert all(asked["path"] == asked["hits"][0]["path"] for asked in said["queries"])
    assert "left out: 1 image that" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("action", "words", "said"),
    [
        (
            "index",
            ["run={run}"],
            "gallery is empty: give images, a folder of images, a CSV file or a domain, e.g. gall",
        ),
        ("index", ["gallery=synthetic_night"], "run is empty: give the folder of a run"),
        ("index", ["gallery=synthetic_night", "run=[a,b]"], "run names 2 folders"),
        ("index", ["gallery=synthetic_nigth", "run={run}"], "or domain .*did you mean 'synthetic_night'"),
        (
            "index",
            ["gallery=synthetic_night", "run={run}"],
            "synthetic_night exists already, and nothing is overwritten",
        ),
        (
            "index",
            ["gallery=synthetic_night", "run={run}", "name=a", "folder=b"],
            "each says which index; leave one out",
        ),
        ("index", ["gallery=synthetic_night", "run={run}", "name=a/b"], "a name is no path; give folder="),
        ("index", ["gallery=synthetic_night", "run={run}", "name=b", "kind=HSNW"], "kind=HSNW for vectors of .* faiss"),
        ("index", ["gallery=synthetic_night", "run={run}", "name=b", "batch_size=0"], "batch_size=0: a whole number"),
        ("index", ["gallery=synthetic_night", "run={run}", "name=b", "workers=-1"], "workers=-1: a whole number"),
        ("index", ["gallery=synthetic_night", "run=nowhere"], "nowhere holds no run"),
        ("query", ["run={run}"], "images is empty: .* e.g. images=photo.jpg"),
        ("query", ["images=synthetic_night"], "no index is named: give run="),
        (
            "query",
            ["images=synthetic_night", "run={run}", "name=synthetic_nigt"],
            "no such index; did you mean 'synthetic_night'",
        ),
        ("query", ["images=synthetic_night", "run={run}/search"], "search has no index; make one with `python -m"),
        ("query", ["images=synthetic_night", "folder={run}"], "holds no index: metadata.json is missing"),
        ("query", ["images=synthetic_night", "run={run}", "top=0"], "top=0: a whole number of at least 1"),
        ("query", ["images=synthetic_night", "run={run}", "top=few"], "top=few: a whole number of at least 1"),
        ("query", ["images=synthetic_night", "run={run}", "memory_map=maybe"], "memory_map=maybe: true or false"),
        (
            "query",
            ["images=synthetic_night", "run={run}", "search_device=tpu"],
            "search_device=tpu: .*known: auto, cpu, gpu",
        ),
        ("index", ["gallery=synthetic_night", "run={run}", "name=b", "flip=maybe"], "flip=maybe: true or false"),
        ("query", ["images=[a.jpg,a.jpg]", "run={run}"], "images names a.jpg twice"),
        ("add", ["images=nothing", "run={run}"], "images=nothing: there is no such file"),
    ],
    ids=lambda value: value if isinstance(value, str) and value in COMMANDS else "",
)
def test_wrong_wishes_are_refused(trained, data_root, action, words, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = sorted(path for path in trained.rglob("*") if path.name != ".lock")
    with pytest.raises(InputError, match=said):
        search(data_root, action, *(word.format(run=trained) for word in words))
    assert sorted(path for path in trained.rglob("*") if path.name != ".lock") == before


def test_a_run_that_moved_is_asked_for(run, trained, data_root, tmp_path):
    index = Path(shutil.copytree(run / "search" / "synthetic_night", tmp_path / "index"))
    metadata = json.loads((index / "metadata.json").read_text())
    metadata["weights"]["run"] = str(tmp_path / "gone")
    (index / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="which is no longer there: say where it is with run="):
        search(data_root, "query", f"folder={index}", "images=synthetic_night")
    search(data_root, "query", f"folder={index}", f"run={run}", "images=synthetic_night", "top=1")
    with pytest.raises(InputError, match=r"holds answers already \(answers.json\)"):
        search(data_root, "query", f"folder={index}", f"run={run}", "images=synthetic_night",
               f"output={index / 'answers' / '1'}")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("search_device=gpu", "search_device=gpu: faiss sees no GPU; use search_device=cpu"),
        ("parameters='nprobe=3'", "parameters=nprobe=3 of kind=exact"),
    ],
)
def test_how_to_search_is_refused_before_images_are_read(trained, data_root, tmp_path, monkeypatch, words, said):
    monkeypatch.setattr("dgreid.evaluation.neighbours.faiss.get_num_gpus", lambda: 0)
    (tmp_path / "broken.jpg").write_text("no image")
    with pytest.raises(InputError, match=said):
        search(data_root, "query", f"run={trained}", f"images={tmp_path / 'broken.jpg'}", words)


def test_a_run_that_moved_with_its_indexes_is_found(run, trained, data_root, tmp_path):
    assert json.loads((run / "search" / "synthetic_night" / "metadata.json").read_text())["weights"]["run"] != str(run)
    away = trained.rename(trained.with_name("away"))
    try:
        words = (f"folder={run / 'search' / 'synthetic_night'}", "images=synthetic_night", "top=1")
        search(data_root, "query", *words, f"output={tmp_path / 'out'}")
    finally:
        away.rename(trained)
    assert len(answers(tmp_path / "out")["queries"]) > 0


def test_files_that_are_passed_over_are_counted(run, photos, data_root, capsys):
    for name in ("one.webp", "two.WEBP", "notes", ".hidden.webp"):
        (photos / name).write_text("x")
    search(data_root, "index", f"run={run}", f"gallery={photos}")
    assert "not seen: 2 .webp, 1 no ending (images end with .bmp, .jpeg, .jpg, .png)" in capsys.readouterr().out
    (photos / "late.jpg").symlink_to(photos / "gone.jpg")
    with pytest.raises(InputError, match=r"1 of 1 images cannot be read(.|\n)*late.jpg"):
        search(data_root, "add", f"run={run}", "name=photos", f"images={photos}")


def typed(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dgreid.search", *words],
        check=False, cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )  # fmt: skip


def test_as_typed_with_names_full_of_signs(run, tmp_path):
    Image.new("RGB", (32, 64), "red").save(tmp_path / "it's (1), a=b [é].png")
    done = typed("index", "gallery=it's (1), a=b [é].png", "run=run", "kind=exact", "name=signs", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "index:    run/search/signs (1 image, " in done.stdout
    done = typed("query", "images=it's (1), a=b [é].png", "run=run", "name=signs", "threshold=0.5", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1.000" in done.stdout
    assert "nobody: 0 of 1 queries" in done.stdout


def test_as_typed_wrongly(run, tmp_path):
    done = typed("query", "image=a.jpg", "run=run", folder=tmp_path)
    assert done.returncode == 1
    assert "did you mean 'images'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_and_values_can_be_read(tmp_path):
    done = typed("add", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "python -m dgreid.search add images=more_photos run=" in done.stdout
    done = typed("query", "--cfg", "job", folder=tmp_path)
    assert done.stdout.splitlines()[:2] == ["images: null", "run: null"]


def documented() -> list[str]:
    texts = [
        (ROOT / "docs" / "search.md").read_text(),
        *(path.read_text() for path in (ROOT / "conf").glob("search_*")),
    ]
    return [
        words for text in texts for words in re.findall(r"^ *python -m dgreid\.search (.+=.+)$", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("words", documented())
def test_documented_commands_can_be_pasted(words, monkeypatch):
    words = re.sub(r"\s+#.*$", "", words)
    unquoted = re.sub(r"'[^']*'", "", words)
    assert not re.search(r"[\[\]*?(){}$!~<>|&;]", unquoted), f"quote this for bash and zsh: {unquoted}"
    action, *overrides = shlex.split(words)
    try:
        assert composed([as_override(word) for word in overrides], f"search_{action}")
    finally:
        HydraConfig.instance().cfg = None
