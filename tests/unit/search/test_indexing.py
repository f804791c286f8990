"""Indexes on disk: made, added to, made anew in another kind; whole or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from filelock import FileLock
from small_pictures import draw, silent

from dgreid.errors import InputError
from dgreid.search import indexing
from dgreid.search.answers import search
from dgreid.search.images import images_in
from dgreid.search.index_folder import METADATA, IndexFolder
from dgreid.search.indexing import SKIPPED, Kind, add_images, remake_index
from dgreid.search.leftovers import alone
from dgreid.search.readable import Skipped


def embedded(embedder, images):
    return np.concatenate(list(embedder(images)))


def stored(index):
    return np.concatenate([np.asarray(part, dtype=np.float32) for part in index.embeddings()])


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_an_index_keeps_images_and_embeddings_in_one_order(index, photos, embedder):
    images = images_in(str(photos), "gallery")
    assert list(index.all_images()) == images
    np.testing.assert_allclose(stored(index), embedded(embedder, images), atol=1e-7)
    assert (index.metadata.images, index.metadata.dimension, index.metadata.recall) == (14, 36, None)
    assert files(index.path) == ["embeddings-0.npy", "images-0.csv", "index-0.faiss", METADATA]


def test_an_image_of_the_gallery_finds_itself(index, embedder):
    images = list(index.all_images())
    for answer in search(index, images, embedded(embedder, images), 3):
        assert answer.hits[0].image == answer.query
        assert answer.hits[0].score == pytest.approx(1, abs=1e-5)
        assert len(answer.hits) == 3


def test_answers_are_a_full_sort_of_inner_products(index, embedder, tmp_path):
    queries = images_in(str(draw(tmp_path / "asked" / "q.png", 99).parent), "images")
    rows = embedded(embedder, queries)
    (answer,) = search(index, queries, rows, 100)
    scores = stored(index).astype(np.float64) @ rows[0].astype(np.float64)
    order = np.argsort(-scores)
    images = list(index.all_images())
    assert [hit.image for hit in answer.hits] == [images[place] for place in order]
    np.testing.assert_allclose([hit.score for hit in answer.hits], scores[order], atol=1e-6)
    assert [hit.rank for hit in answer.hits] == list(range(1, 15))


@pytest.mark.parametrize("kind", [Kind(), Kind(float16=True), Kind("HNSW8")])
def test_adding_equals_indexing_all_at_once(make, photos, embedder, kind, tmp_path):
    images = images_in(str(photos), "gallery")
    whole = make(images, embedder, "whole", kind)
    grown = make(images[:11], embedder, "grown", kind)
    embedder.net.seen = 0
    grown = add_images(grown, images[11:13], [], embedder, ["more"], silent)
    grown = add_images(grown, images[13:], [], embedder, ["more", "photos"], silent)
    assert embedder.net.seen == 3, "the old ones are not embedded again"
    assert list(grown.all_images()) == images
    np.testing.assert_array_equal(stored(grown), stored(whole))
    assert grown.metadata.gallery == ["photos", "more"]
    rows = embedded(embedder, images)
    for one, other in zip(search(grown, images, rows, 5), search(whole, images, rows, 5), strict=True):
        assert [hit.image for hit in one.hits] == [hit.image for hit in other.hits]
    assert files(grown.path) == [
        "embeddings-0.npy", "embeddings-1.npy", "embeddings-2.npy", "images-0.csv", "images-1.csv", "images-2.csv",
        "index-2.faiss", METADATA,
    ]  # fmt: skip


def test_images_and_vectors_are_found_across_parts(make, photos, embedder):
    images = images_in(str(photos), "gallery")
    index = add_images(make(images[:12], embedder), images[12:], [], embedder, ["more"], silent)
    places = np.array([13, 2, 12, 2])
    assert index.images(places.tolist()) == {place: images[place] for place in (2, 12, 13)}
    np.testing.assert_array_equal(index.vectors(places), stored(index)[places])


def test_half_precision_takes_half_the_space(make, photos, embedder):
    images = images_in(str(photos), "gallery")
    half, whole = (make(images, embedder, name, Kind(float16=name == "half")) for name in ("half", "whole"))
    sizes = [(index.path / "embeddings-0.npy").stat().st_size for index in (half, whole)]
    assert sizes[1] - sizes[0] == 14 * 36 * 2
    np.testing.assert_allclose(stored(half), stored(whole), atol=1e-3)
    assert half.neighbours().float16


def test_an_approximate_index_says_what_it_finds_and_scores_exactly(make, photos, embedder):
    images = images_in(str(photos), "gallery")
    index = make(images, embedder)
    coarse = remake_index(index.path.with_name("coarse"), index, Kind("SQ4"), silent)
    assert coarse.metadata.recall["queries"] == 14
    assert 0 < coarse.metadata.recall["at_1"] <= 1
    assert list(coarse.all_images()) == images
    np.testing.assert_array_equal(stored(coarse), stored(index))
    rows = embedded(embedder, images)
    for row, answer in zip(rows, search(coarse, images, rows, 14), strict=True):
        scores = np.sort(stored(index) @ row)[::-1]
        np.testing.assert_allclose([hit.score for hit in answer.hits], scores, atol=1e-6)


def test_what_is_there_is_not_overwritten(index, make, photos, embedder):
    before = {path.name: path.read_bytes() for path in index.path.iterdir()}
    with pytest.raises(InputError, match=r"index exists already, and nothing is overwritten: add images to it with"):
        make(images_in(str(photos), "gallery"), embedder)
    with pytest.raises(InputError, match="exists already"):
        remake_index(index.path, index, Kind("HNSW8"), silent)
    assert {path.name: path.read_bytes() for path in index.path.iterdir()} == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"name": "HSNW32"}, "kind=HSNW32 for vectors of 36 numbers: faiss says"),
        ({"name": "IVF64,Flat"}, "64 cells need"),
        ({"parameters": "nprobe=3"}, "parameters=nprobe=3"),
        ({"name": "SQ4", "parameters": "nprobe=3"}, "parameters=nprobe=3 of kind=SQ4"),
    ],
)
def test_a_kind_that_cannot_be_is_refused_before_the_work(make, photos, embedder, tmp_path, kind, said):
    with pytest.raises(InputError, match=said):
        make(images_in(str(photos), "gallery"), embedder, kind=Kind(**kind))
    assert embedder.net.seen == 1
    assert not (tmp_path / "index").exists()


def stopping_after(embedder, images):
    batches = iter(embedder(images))

    def some(asked):
        if len(asked) == 1:
            yield from embedder(asked)
            return
        yield next(batches)
        raise KeyboardInterrupt

    some.precision = embedder.precision
    return some


def test_an_interrupted_index_leaves_nothing(make, photos, embedder, tmp_path):
    images = images_in(str(photos), "gallery")
    with pytest.raises(KeyboardInterrupt):
        make(images, stopping_after(embedder, images))
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_half_precision_of_a_few_images_is_refused(make, photos, embedder):
    with pytest.raises(InputError, match="float16=true: 10 images are too few to measure what it loses; leave it out"):
        make(images_in(str(photos), "gallery")[:10], embedder, kind=Kind(float16=True))


def test_an_interrupted_addition_leaves_the_index_as_it_was(make, photos, embedder):
    images = images_in(str(photos), "gallery")
    index = make(images[:4], embedder)
    with pytest.raises(KeyboardInterrupt):
        add_images(index, images[4:], [], stopping_after(embedder, images[4:]), ["more"], silent)
    again = IndexFolder(index.path)
    assert files(index.path) == ["embeddings-0.npy", "images-0.csv", "index-0.faiss", METADATA]
    assert again.metadata == index.metadata
    assert list(again.all_images()) == images[:4]
    assert again.neighbours().size == 4
    assert list(add_images(again, images[4:], [], embedder, ["more"], silent).all_images()) == images


def test_what_was_left_out_is_listed(make, photos, embedder):
    images = images_in(str(photos), "gallery")
    index = make(images[:4], embedder, skipped=[Skipped("/a.jpg", "cannot read image /a.jpg: empty")])
    add_images(index, images[4:], [Skipped("/b.jpg", "cannot read image /b.jpg: gone")], embedder, [], silent)
    listed = (index.path / SKIPPED).read_text()
    assert listed == "cannot read image /a.jpg: empty\ncannot read image /b.jpg: gone\n"


def test_one_process_adds_at_a_time(index):
    refused = pytest.raises(InputError, match="another process is adding images to")
    with FileLock(index.path / ".lock"), refused, alone(index.path):
        pass
    with alone(index.path):
        pass


def edited(index, **changes):
    path = index.path / METADATA
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return index.path


def test_a_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no index: metadata.json is missing; make one with"):
        IndexFolder(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 9}, "has format 9, this version reads 1"),
        ({"weights": 3}, "metadata.json is damaged"),
        ({"unheard": 3}, "metadata.json is damaged"),
    ],
)
def test_metadata_of_another_kind_are_refused(index, changes, said):
    with pytest.raises(InputError, match=said):
        IndexFolder(edited(index, **changes))


def test_a_damaged_index_is_refused(index):
    (index.path / METADATA).with_name("embeddings-0.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"embeddings-0.npy is damaged or missing"):
        list(index.embeddings())
    (index.path / METADATA).write_text("{")
    with pytest.raises(InputError, match=r"metadata.json is damaged"):
        IndexFolder(index.path)


def test_a_table_that_was_cut_is_noticed(index):
    lines = (index.path / "images-0.csv").read_text().splitlines(keepends=True)
    (index.path / "images-0.csv").write_text("".join(lines[:-1]))
    assert len(index.images(range(13))) == 13
    with pytest.raises(InputError, match=r"images-0.csv has fewer than 14 images"):
        index.images([13])


def test_files_of_different_indexes_are_noticed(index, make, photos, embedder):
    other = make(images_in(str(photos), "gallery")[:5], embedder, "other")
    (index.path / "index-0.faiss").write_bytes((other.path / "index-0.faiss").read_bytes())
    with pytest.raises(InputError, match=r"holds 5 vectors of 36 numbers, listed are 14 of 36: .* make it anew"):
        index.neighbours()
    (index.path / "embeddings-0.npy").write_bytes((other.path / "embeddings-0.npy").read_bytes())
    with pytest.raises(InputError, match="has 5 rows, listed are 14"):
        list(index.embeddings())


def test_a_full_disk_is_reported(make, photos, embedder, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    images = images_in(str(photos), "gallery")
    index = make(images[:4], embedder)
    monkeypatch.setattr(indexing, "write_part", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        make(images, embedder, "another")
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        add_images(index, images[4:], [], embedder, ["more"], silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "photos"]
