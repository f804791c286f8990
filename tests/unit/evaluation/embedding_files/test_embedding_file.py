"""Files of embeddings: what is written is read again, what any program writes is read, what is malformed is told."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch

from dgreid.errors import InputError
from dgreid.evaluation.embedding_files import embedding_file
from dgreid.evaluation.embedding_files.embedding_file import (
    EmbeddingSet,
    read_embeddings,
    require_new_file,
    write_embeddings,
)


def small_set(paths=True):
    generator = np.random.default_rng(0)
    return EmbeddingSet(
        embeddings=generator.normal(size=(6, 4)).astype(np.float32),
        identities=np.array([7, 8, 7, 8, 8, 9]),
        cameras=np.array([0, 1, 1, -1, 0, 2]),
        split=np.array(["query", "query", "gallery", "gallery", "gallery", "gallery"]),
        paths=np.array([f"ü/{k}.jpg" for k in range(6)]) if paths else None,
        weights_hash="ab12",
        list_hash="cd34",
    )


def arrays(**changes):
    """What other programs must write at least, with changes; None leaves an array out."""
    whole = small_set()
    found = {
        "embedding": whole.embeddings, "identity": whole.identities, "camera": whole.cameras, "split": whole.split,
    }  # fmt: skip
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


def saved(tmp_path, **changes):
    path = tmp_path / "other.npz"
    np.savez(path, **arrays(**changes))
    return path


def assert_equal(found, expected):
    assert found.embeddings.dtype == np.float32
    assert found.identities.dtype == found.cameras.dtype == np.int64
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("paths", [True, False])
def test_what_is_written_is_read_again(tmp_path, paths):
    expected = small_set(paths)
    path = write_embeddings(tmp_path / "new" / "mine.npz", expected)
    found = read_embeddings(path)
    assert (found.paths is None) is not paths
    assert_equal(found if paths else found._replace(paths=0), expected if paths else expected._replace(paths=0))
    assert [entry.name for entry in path.parent.iterdir()] == ["mine.npz"]


def test_the_file_holds_the_documented_arrays_and_no_objects(tmp_path):
    with np.load(write_embeddings(tmp_path / "mine.npz", small_set()), allow_pickle=False) as archive:
        types = {name: archive[name].dtype.kind for name in archive.files}
        assert int(archive["format"]) == 1
    assert types == {
        "embedding": "f", "identity": "i", "camera": "i", "split": "U", "path": "U", "weights_hash": "U",
        "list_hash": "U", "format": "i",
    }  # fmt: skip


def test_the_minimum_of_another_program_is_read(tmp_path):
    assert_equal(
        read_embeddings(saved(tmp_path))._replace(paths=0), small_set()._replace(paths=0, weights_hash="", list_hash="")
    )


def test_a_compressed_file_is_read(tmp_path):
    np.savez_compressed(tmp_path / "small.npz", **arrays())
    np.testing.assert_array_equal(read_embeddings(tmp_path / "small.npz").embeddings, small_set().embeddings)


@pytest.mark.parametrize("precision", [np.float16, np.float64])
def test_other_precisions_become_float32(tmp_path, precision):
    given = small_set().embeddings.astype(precision)
    found = read_embeddings(saved(tmp_path, embedding=given)).embeddings
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, given.astype(np.float32))


@pytest.mark.parametrize("integers", [np.int8, np.uint16, np.int32])
def test_integers_of_any_width_become_int64(tmp_path, integers):
    found = read_embeddings(saved(tmp_path, identity=small_set().identities.astype(integers)))
    assert found.identities.dtype == np.int64
    np.testing.assert_array_equal(found.identities, small_set().identities)


def test_arrays_that_it_has_no_use_for_are_not_even_read(tmp_path):
    path = saved(tmp_path, notes=np.array([{"a": 1}], dtype=object))
    np.testing.assert_array_equal(read_embeddings(path).embeddings, small_set().embeddings)


def test_rows_of_a_split_and_lists():
    shuffled = small_set()._replace(split=np.array(["gallery", "query", "gallery", "query", "query", "gallery"]))
    assert shuffled.rows("query").tolist() == [1, 3, 4]
    assert shuffled.rows("gallery").tolist() == [0, 2, 5]
    assert shuffled.lists().embeddings.shape == (0, 4)
    assert shuffled.lists()[1:] == shuffled[1:]


def with_value(value):
    embeddings = small_set().embeddings.astype(np.float64)
    embeddings[3, 1] = value
    return embeddings


MALFORMED = [
    ({"embedding": None}, "lacks embedding; a file of embeddings holds the arrays embedding, identity, camera, split"),
    ({"identity": None, "split": None}, "lacks identity, split;.*this one has embedding, camera"),
    ({"embedding": np.zeros(6)}, r"embedding is float64 of shape \(6,\); give floating point numbers, a row for each"),
    ({"embedding": np.zeros((6, 0))}, r"shape \(6, 0\)"),
    ({"embedding": np.zeros((6, 4), int)}, "embedding is int64"),
    ({"embedding": np.zeros((6, 4), complex)}, "embedding is complex128"),
    ({"identity": np.zeros(5, int)}, r"identity is int64 of shape \(5,\), there are 6 rows"),
    ({"identity": np.zeros((6, 1), int)}, r"shape \(6, 1\)"),
    ({"identity": np.zeros(6)}, "identity is float64.*integers"),
    ({"identity": np.array(["a"] * 6)}, r"identity is <U1.*numpy.unique\(..., return_inverse=True\)"),
    ({"camera": np.zeros(6, bool)}, "camera is bool.*-1 where unknown"),
    ({"split": np.zeros(6, int)}, "split is int64.*text"),
    ({"split": np.array([b"query"] * 6)}, "split is .S5.*text"),
    ({"split": np.array(["query"] * 5 + ["train"])}, "split of row 5 is 'train'; each is 'query' or 'gallery'"),
    ({"split": np.array(["query"] * 6)}, "no row is 'gallery'"),
    ({"split": np.array(["gallery"] * 6)}, "no row is 'query'"),
    ({"path": np.arange(6)}, "path is int64.*or leave it out"),
    ({"path": np.array(["a", "b"])}, r"path is <U1 of shape \(2,\)"),
    ({"embedding": with_value(np.nan)}, "embedding of row 3 is NaN or infinite"),
    ({"embedding": with_value(np.inf)}, "embedding of row 3"),
    ({"embedding": with_value(1e300)}, "embedding of row 3"),
    ({"format": np.array(2)}, "format is 2, this version reads 1; update dgreid"),
    ({"format": np.array("1")}, "format is 1, this version"),
    ({"format": np.array([1, 1])}, r"format is \[1 1\]"),
    ({"weights_hash": np.array(["a", "b"])}, r"weights_hash is <U1 of shape \(2,\); give one text"),
    ({"list_hash": np.array(5)}, "list_hash is int64"),
    ({"identity": np.array([1, 2, 3, 4, 5, "x"], dtype=object)}, "identity holds Python objects, which could run code"),
    ({"path": np.array(["a"] * 6, dtype=object)}, "path holds Python objects"),
]


@pytest.mark.parametrize(("changes", "message"), MALFORMED, ids=[message[:30] for _, message in MALFORMED])
def test_malformed_contents_are_told(tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr(embedding_file, "ROWS_AT_ONCE", 2)
    path = saved(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as caught:
        read_embeddings(path)
    assert str(caught.value).startswith(str(path))


def archive_with(name, content):
    data = io.BytesIO()
    np.savez(data, **{key: value for key, value in arrays().items() if key != name.removesuffix(".npy")})
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr(name, content)
    return data.getvalue()


def torch_file():
    data = io.BytesIO()
    torch.save({"embedding": torch.zeros(2, 2)}, data)
    return data.getvalue()


def one_array():
    data = io.BytesIO()
    np.save(data, np.zeros((3, 2)))
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no .npz file, or its end is missing"),
        (b"hello", "is no .npz file"),
        (one_array(), "is no .npz file.*write one with numpy.savez"),
        (archive_with("identity.npy", b"text")[:-40], "its end is missing"),
        (torch_file(), "lacks embedding, identity, camera, split;.*data.pkl"),
        (archive_with("identity.npy", b"text"), "identity is no array"),
        (archive_with("identity.npy", b"\x93NUMPY\x01\x00\x06\x00{oops "), "identity cannot be read"),
        (archive_with("identity.npy", b""), "identity is no array"),
    ],
)
def test_other_files_are_told(tmp_path, content, message):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_embeddings(path)


def test_no_file_and_a_folder_are_told(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(InputError, match="there is no such file of embeddings"):
            read_embeddings(path)


def test_a_file_that_claims_more_than_there_is_memory_is_told(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**50, 4)})
    path = tmp_path / "huge.npz"
    path.write_bytes(archive_with("embedding.npy", header.getvalue()))
    with pytest.raises(InputError, match="embedding cannot be read"):
        read_embeddings(path)


def test_damage_anywhere_is_an_error_that_a_user_can_read_or_harmless(tmp_path):
    whole = saved(tmp_path).read_bytes()
    path, generator, refused = tmp_path / "damaged.npz", np.random.default_rng(0), 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        refused += outcome(path)
    assert refused > len(whole) // 9
    for length in range(0, len(whole), 50):
        path.write_bytes(whole[:length])
        assert outcome(path)


def outcome(path):
    """Whether it is refused. Any other error fails the test, and so do numbers that are not the file's."""
    try:
        found = read_embeddings(path)
    except InputError:
        return True
    np.testing.assert_array_equal(found.embeddings, small_set().embeddings)
    np.testing.assert_array_equal(found.identities, small_set().identities)
    return False


def test_nothing_is_overwritten_and_the_name_must_fit(tmp_path):
    path = tmp_path / "mine.npz"
    path.write_text("precious")
    for write in (lambda: require_new_file(path), lambda: write_embeddings(path, small_set())):
        with pytest.raises(InputError, match=r"mine.npz exists already; remove it or choose another name"):
            write()
    assert path.read_text() == "precious"
    with pytest.raises(InputError, match=r"mine.txt: embeddings are written to a file whose name ends in .npz"):
        write_embeddings(tmp_path / "mine.txt", small_set())


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    broken = small_set()._replace(embeddings=with_value(np.nan))
    with pytest.raises(InputError, match="row 3 is NaN"):
        write_embeddings(tmp_path / "mine.npz", broken)
    assert list(tmp_path.iterdir()) == []
