from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.embedding_files.alignment import method_files, rows_like
from dgreid.evaluation.embedding_files.embedding_file import EmbeddingSet

NAMES = ("first", "second")


def a_set(paths=True):
    return EmbeddingSet(
        embeddings=np.arange(16, dtype=np.float32).reshape(8, 2),
        identities=np.array([5, 6, 7, 5, 5, 6, 7, 7]),
        cameras=np.array([0, 0, 1, 1, 2, 1, 0, 2]),
        split=np.array(["query"] * 3 + ["gallery"] * 5),
        paths=np.array([f"{k}.jpg" for k in range(8)]) if paths else None,
    )


def shuffled(whole, order):
    return whole._replace(
        embeddings=whole.embeddings[order], identities=whole.identities[order], cameras=whole.cameras[order],
        split=whole.split[order], paths=None if whole.paths is None else whole.paths[order],
    )  # fmt: skip


@given(st.permutations(range(8)))
@settings(max_examples=40, deadline=None)
def test_any_order_is_found_by_paths(order):
    other = shuffled(a_set(), np.array(order))
    for split in ("query", "gallery"):
        rows = rows_like(a_set().lists(), other, split, NAMES)
        np.testing.assert_array_equal(other.embeddings[rows], a_set().embeddings[a_set().rows(split)])


def test_queries_and_gallery_may_be_mixed_without_paths():
    other = shuffled(a_set(paths=False), np.array([3, 0, 4, 1, 5, 6, 2, 7]))
    assert rows_like(a_set(), other, "query", NAMES).tolist() == [1, 3, 6]
    assert rows_like(a_set(), other, "gallery", NAMES).tolist() == [0, 2, 4, 5, 7]


def test_equal_paths_pair_up_in_their_order():
    twice = a_set()._replace(paths=np.array(["a", "b", "c", "x", "y", "y", "z", "x"]))
    order = np.array([0, 1, 2, 6, 4, 3, 7, 5])  # of the two y and of the two x the first stays the first
    other = shuffled(twice, order)
    rows = rows_like(twice, other, "gallery", NAMES)
    np.testing.assert_array_equal(other.embeddings[rows], twice.embeddings[3:])


def test_an_order_of_its_own_without_paths_is_refused():
    other = shuffled(a_set(paths=False), np.array([0, 1, 2, 3, 5, 4, 6, 7]))
    expected = r"second: identity of gallery image 1 \(4.jpg\) is 6, in first it is 5 \(2 of 5 differ\); .*same order"
    with pytest.raises(InputError, match=expected):
        rows_like(a_set(), other, "gallery", NAMES)


def test_another_camera_is_refused():
    other = a_set()._replace(cameras=np.array([0, 3, 1, 1, 2, 1, 0, 2]))
    with pytest.raises(InputError, match=r"second: camera of query image 1 \(1.jpg\) is 3, in first it is 0 \(1 of 3"):
        rows_like(a_set(), other, "query", NAMES)
    with pytest.raises(InputError, match=r"camera of query image 1 is 3"):
        rows_like(a_set(paths=False), other, "query", NAMES)


def test_more_images_are_refused():
    other = shuffled(a_set(), np.arange(7))
    with pytest.raises(InputError, match="second has 4 gallery images and first 5; methods are compared on the same"):
        rows_like(a_set(), other, "gallery", NAMES)


def test_other_paths_are_refused_with_an_example_of_each():
    paths = a_set().paths.copy()
    paths[[5, 6]] = ["m.jpg", "n.jpg"]
    expected = (
        "second and first list different gallery images: 2 paths are only in second, such as m.jpg; "
        "2 paths are only in first, such as 5.jpg"
    )
    with pytest.raises(InputError, match=expected):
        rows_like(a_set(), a_set()._replace(paths=paths), "gallery", NAMES)


def test_a_path_more_often_is_refused_though_no_path_is_new():
    paths = a_set().paths.copy()
    paths[5] = paths[4]
    with pytest.raises(InputError, match=r"0 paths are only in second; 1 paths are only in first, such as 5.jpg"):
        rows_like(a_set(), a_set()._replace(paths=paths), "gallery", NAMES)


def test_files_and_folders_by_name_of_method(tmp_path):
    for name in ("il.npz", "fb.npz", "notes.txt", ".il.4711.npz"):  # the last is being written
        (tmp_path / name).touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "m3l.npz").touch()
    found = method_files([tmp_path / "old" / "m3l.npz", tmp_path])
    assert list(found) == ["m3l", "fb", "il"]
    assert found["fb"] == tmp_path / "fb.npz"


def test_files_that_are_not_there_or_have_one_name_are_refused(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(InputError, match=r"old: no .npz file in this folder"):
        method_files([tmp_path / "old"])
    with pytest.raises(InputError, match=r"none.npz: there is no such file"):
        method_files([tmp_path / "none.npz"])
    for path in (tmp_path / "fb.npz", tmp_path / "old" / "fb.npz"):
        path.touch()
    with pytest.raises(InputError, match="two methods are called fb; rename a file"):
        method_files([tmp_path, tmp_path / "old"])
