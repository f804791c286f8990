"""Indexes from elsewhere: names of files in them that lead out, links, code, and pages that would run it."""

from __future__ import annotations

import csv
import json
import os
from html.parser import HTMLParser
from pathlib import Path

import faiss
import numpy as np
import pytest
from traps import object_array

from dgreid.errors import InputError
from dgreid.evaluation.indexes.index_file import read_note, write_with_note
from dgreid.evaluation.neighbours import NeighbourIndex
from dgreid.evaluation.ranked_lists import write_queries
from dgreid.search.answers import Answer, Answers, Hit
from dgreid.search.images import SearchImage
from dgreid.search.index_folder import IndexFolder, Metadata, read_embeddings, write_metadata, write_part
from dgreid.search.leftovers import alone
from dgreid.search.page import answers_page
from dgreid.search.weights import Weights
from dgreid.types import ReIDRecord

VECTORS = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 8)))[0].astype("f4")
PREPROCESSING = {"height": 4, "width": 2, "flip_average": False}


@pytest.fixture
def index(tmp_path):
    """The folder of an exact index of forty vectors."""
    folder = tmp_path / "index"
    folder.mkdir()
    images = [SearchImage(f"/photos/{number}.jpg") for number in range(len(VECTORS))]
    part, dimension = write_part(folder, 0, images, [VECTORS], float16=False)
    NeighbourIndex.build(VECTORS).save(folder / "index-0.faiss")
    weights = Weights("/runs/a", "selected", 1, "a" * 64, PREPROCESSING)
    write_metadata(
        folder,
        Metadata(weights, ["photos"], "32-true", "exact", "", False, dimension, None, "index-0.faiss", [part]),
    )
    return folder


def edit(folder, change):
    content = json.loads((folder / "metadata.json").read_text())
    change(content)
    (folder / "metadata.json").write_text(json.dumps(content))


def test_the_index_is_one(index):
    assert IndexFolder(index).neighbours().size == len(VECTORS)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a/b", "..", "", ".", "a\\b", "a\0b", 7, None, ["a"]])
@pytest.mark.parametrize("key", ["index", "table", "embeddings"])
def test_files_of_an_index_lie_in_its_folder(key, name, index):
    edit(index, lambda content: (content if key == "index" else content["parts"][0]).update({key: name}))
    with pytest.raises(InputError, match=r"metadata\.json is damaged \(.* is no (name of a file in this folder|str)"):
        IndexFolder(index)


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": -1}, {"dimension": "8"}, {"float16": 1}, {"kind": None}, {"recall": {}}, {"recall": {"at_1": 1}},
        {"gallery": "photos"}, {"gallery": [1]}, {"parts": {}}, {"weights": {}}, {"more": 1}, {"parts": [[]]},
        {"recall": {"at_1": "<script>", "at_10": 1.0}},
    ],
    ids=str,
)  # fmt: skip
def test_metadata_with_values_of_another_kind(change, index):
    edit(index, lambda content: content.update(change))
    with pytest.raises(InputError, match=r"metadata\.json is damaged"):
        IndexFolder(index)


@pytest.mark.parametrize("name", ["embeddings-1.npy", "images-1.csv", ".lock", "skipped.txt", "answers"])
def test_additions_do_not_follow_links_out_of_the_folder(name, index, trace):
    (index / name).symlink_to(trace)
    with pytest.raises(InputError, match=f"{name} leads out of"), alone(index):
        raise AssertionError("nothing may be added")


def test_embeddings_of_an_index_are_not_unpickled(tmp_path, trace):
    np.save(tmp_path / "embeddings-0.npy", object_array(trace), allow_pickle=True)
    with pytest.raises(InputError, match="is damaged"):
        read_embeddings(tmp_path / "embeddings-0.npy", 2)


def test_other_arrays_than_embeddings(tmp_path):
    for number, array in enumerate([np.ones(2), np.ones((2, 3), dtype=int), np.ones((2, 3, 4)), np.array(["a", "b"])]):
        np.save(tmp_path / f"{number}.npy", array)
        with pytest.raises(InputError, match="is damaged"):
            read_embeddings(tmp_path / f"{number}.npy", 2)
    np.savez(tmp_path / "a.npy.npz", a=np.ones((2, 3)), b=np.ones((2, 3)))
    os.replace(tmp_path / "a.npy.npz", tmp_path / "a.npy")
    with pytest.raises(InputError, match="is damaged"):
        read_embeddings(tmp_path / "a.npy", 2)


SETTINGS = {"kind": "IVF4,Flat", "float16": False, "parameters": "", "recall": [1.0, 1.0, 0]}


def on_disk_elsewhere(path, victim):
    """An index whose inverted lists lie in another file, which faiss would write to when vectors are added."""
    made = faiss.index_factory(8, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT)
    made.train(VECTORS)
    lists = faiss.OnDiskInvertedLists(made.nlist, made.code_size, str(victim))
    made.replace_invlists(lists, False)
    made.add(VECTORS)
    write_with_note(path, lambda place: faiss.write_index(made, place), SETTINGS, {})


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("beside", [False, True], ids=["elsewhere", "in its folder, by a link"])
def test_an_index_writes_to_no_file_that_it_names(memory_map, beside, tmp_path):
    victim = tmp_path / "thesis.tex"
    on_disk_elsewhere(tmp_path / "made.faiss", victim)
    before = victim.read_bytes()
    folder = tmp_path / "index"
    folder.mkdir()
    os.replace(tmp_path / "made.faiss", folder / "index.faiss")
    if beside:
        (folder / victim.name).symlink_to(victim)
    with pytest.raises(InputError, match=r"faiss says|read only"):
        NeighbourIndex.load(folder / "index.faiss", memory_map).add(VECTORS)
    assert victim.read_bytes() == before


def test_code_in_the_note_of_an_index_is_not_run(tmp_path, trace):
    write_with_note(tmp_path / "a", lambda place: Path(place).write_bytes(b""), SETTINGS, {"own": object_array(trace)})
    with pytest.raises(InputError, match="is damaged"):
        read_note(tmp_path / "a")


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": 7}, {"float16": "no"}, {"parameters": None}, {"recall": [1]}, {"recall": "abc"},
        {"recall": ["a", "b", 0]},
    ],
    ids=str,
)  # fmt: skip
def test_settings_of_another_kind(settings, tmp_path):
    write_with_note(tmp_path / "a", lambda place: Path(place).write_bytes(b""), {**SETTINGS, **settings}, {})
    with pytest.raises(InputError, match="is damaged"):
        read_note(tmp_path / "a")


@pytest.mark.parametrize("claimed", [2**39, 2**35, 2**62, -1])
def test_an_index_that_claims_more_than_there_is(claimed, tmp_path):
    """Lists are sized by what they claim, so one of 500 GB would fill all memory before it is found missing."""
    NeighbourIndex.build(VECTORS).save(tmp_path / "a.faiss")
    whole = (tmp_path / "a.faiss").read_bytes()
    count = np.int64(VECTORS.nbytes // 4).tobytes()  # numbers in the vectors, which follow their count
    for size in (count, np.int64(VECTORS.nbytes).tobytes()):
        where = whole.find(size + VECTORS.tobytes()[:16])
        if where >= 0:
            (tmp_path / "a.faiss").write_bytes(whole[:where] + np.int64(claimed).tobytes() + whole[where + 8 :])
            break
    else:
        raise AssertionError("faiss's file looks otherwise")
    with pytest.raises(InputError, match="faiss says"):
        NeighbourIndex.load(tmp_path / "a.faiss")


# What is written for people


EVIL = (
    '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", "</style><script>",
    "javascript:alert(1)", "&lt;script&gt;", "<!--", "\x00<b>", "\udcff<i>", "{{7*7}}", "]]>", "<base href=//x>",
)  # fmt: skip


class Tags(HTMLParser):
    """Every tag of a page with the names of its attributes."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.found, self.targets = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs)))
        self.targets += [value for name, value in attrs if name in ("src", "href")]

    def handle_comment(self, data):
        self.found.append(("comment", ()))


def page_of(index, text):
    folder = IndexFolder(index)
    metadata = folder.metadata
    weights = Weights(f"/{text}", text, 1, f"{text}sha", PREPROCESSING)
    object.__setattr__(folder, "metadata", Metadata(
        weights, [text], text, text, text, False, 8, {"at_1": 1.0, "at_10": 1.0}, metadata.index, metadata.parts
    ))  # fmt: skip
    image = SearchImage(f"/photos/{text}.jpg", text, text)
    return answers_page(Answers(folder, [Answer(image, [Hit(1, 0.5, image, True)])], None))


@pytest.mark.parametrize("text", EVIL, ids=repr)
def test_no_name_changes_what_a_page_is(text, index):
    plain, evil = Tags(page_of(index, "a")), Tags(page_of(index, text))
    assert evil.found == plain.found
    assert evil.targets == plain.targets == []
    assert "default-src 'none'" in page_of(index, text)
    page_of(index, text).encode("utf-8")


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "|x", "%0A=1", "a\r=1"])
def test_no_name_of_an_image_is_a_formula(name, tmp_path):
    """Spreadsheets run cells that begin so, which in a table of queries can be the name of a file alone."""

    class Result:
        valid, average_precision, first_rank = [True], [0.5], [1]

    write_queries(tmp_path / "queries.csv", [ReIDRecord(Path(name), 1, 0)], Result)
    (_, row) = list(csv.reader((tmp_path / "queries.csv").open(newline="", encoding="utf-8")))
    assert row[0][0] not in "=+-@\t\r|%"
    assert Path(row[0]) == Path(name)
