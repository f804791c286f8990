"""What a run's folder and an index say of themselves: YAML and JSON, as text and as values."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from bare_runs import bare_run
from fuzzing import changed, files, fuzzed, only_documented
from hypothesis import given
from hypothesis import strategies as st

from dgreid.run.load import load_run, read_run
from dgreid.run.open_set import stored_thresholds
from dgreid.search.images import SearchImage
from dgreid.search.index_folder import IndexFolder
from dgreid.search.lists import write_table


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return bare_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


@pytest.mark.parametrize("name", ["config.yaml", "run.json"])
def test_a_run_s_files_as_text(name, run, copy):
    assert load_run(copy).step == 7

    @fuzzed
    @given(content=files((run / name).read_bytes()))
    def tried(content):
        (copy / name).write_bytes(content)
        only_documented(lambda: read_run(copy))

    tried()


@pytest.mark.parametrize("name", ["config.yaml", "run.json"])
def test_a_run_s_files_as_values(name, run, copy):
    parse, write = (yaml.safe_load, yaml.safe_dump) if name == "config.yaml" else (json.loads, json.dumps)
    valid = parse((run / name).read_text())

    @fuzzed
    @given(content=changed(valid))
    def tried(content):
        (copy / name).write_text(write(content))
        only_documented(lambda: load_run(copy))

    tried()


THRESHOLDS = {
    "step": 7, "flip": False, "thresholds": {"0.01": 0.5, "0.1": 0.25}, "queries": 3, "gallery_images": 9,
    "true_accepts": {"0.01": 0.5, "0.1": 1.0},
}  # fmt: skip


@fuzzed
@given(data=st.data())
def test_thresholds_of_a_run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    valid = {"format": 1, "open_set": THRESHOLDS}
    text = data.draw(st.one_of(files(json.dumps(valid).encode()), changed(valid).map(lambda c: json.dumps(c).encode())))
    (folder / "result.json").write_bytes(text)
    only_documented(lambda: stored_thresholds(folder))


METADATA = {
    "format": 1, "images": 2,
    "weights": {
        "run": "/runs/a", "checkpoint": "selected", "step": 1, "sha256": "a" * 64,
        "preprocessing": {"height": 4, "width": 2, "flip_average": False},
    },
    "gallery": ["photos"], "precision": "32-true", "kind": "HNSW8", "parameters": "", "float16": False, "dimension": 8,
    "recall": {"at_1": 1.0, "at_10": 0.5, "queries": 7}, "index": "index-0.faiss",
    "parts": [{"table": "images-0.csv", "embeddings": "embeddings-0.npy", "images": 2}],
}  # fmt: skip


@fuzzed
@given(data=st.data())
def test_metadata_of_an_index(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    write_table(folder / "images-0.csv", [SearchImage("/a.jpg"), SearchImage("/b.jpg", "1", "2")])
    (folder / "metadata.json").write_text(json.dumps(METADATA))
    assert len(list(IndexFolder(folder).all_images())) == 2
    text = data.draw(
        st.one_of(files(json.dumps(METADATA).encode()), changed(METADATA).map(lambda c: json.dumps(c).encode()))
    )
    (folder / "metadata.json").write_bytes(text)
    index = only_documented(lambda: IndexFolder(folder))
    if index is not None:
        for ask in (lambda: list(index.all_images()), lambda: index.images([0]), lambda: list(index.embeddings())):
            only_documented(ask)
        only_documented(index.neighbours)
