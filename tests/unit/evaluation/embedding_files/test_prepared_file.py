from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgreid.errors import InputError
from dgreid.evaluation.embedding_files.prepared_file import prepare
from dgreid.types import ReIDRecord

SPLIT = np.array(["gallery", "query", "gallery", "query", "gallery"])


def write(path, order=range(5), paths=True, scale=1.0):
    """Five images; image k has identity k, camera 10 + k and the unit vector of k and k + 1."""
    order = list(order)
    embedding = np.eye(6, dtype=np.float32)[:5] * 0.6 + np.eye(6, k=1, dtype=np.float32)[:5] * 0.8
    arrays = {"embedding": scale * embedding[order], "identity": np.arange(5)[order], "split": SPLIT[order]}
    if paths:
        arrays["path"] = np.array([f"c/{k}.jpg" for k in order])
    np.savez(path, camera=10 + np.arange(5)[order], **arrays)
    return path


def test_queries_come_first_then_the_gallery(tmp_path):
    file = prepare(write(tmp_path / "a.npz"))
    assert file.query_count == 2
    assert file.file_rows.tolist() == [1, 3, 0, 2, 4]
    np.testing.assert_allclose(file.query[:, :5].argmax(1), [2, 4])
    np.testing.assert_allclose(file.gallery.argmax(1), [1, 3, 5])
    query, gallery = file.labels
    assert (query.identities.tolist(), query.cameras.tolist()) == ([1, 3], [11, 13])
    assert (gallery.identities.tolist(), gallery.cameras.tolist()) == ([0, 2, 4], [10, 12, 14])
    assert not file.rescaled


def test_images_that_are_in_order_are_not_copied(tmp_path, monkeypatch):
    path, kept = write(tmp_path / "a.npz", [1, 3, 0, 2, 4]), []
    from dgreid.evaluation.embedding_files import prepared_file

    reading = prepared_file.read_embeddings
    monkeypatch.setattr(prepared_file, "read_embeddings", lambda path: kept.append(reading(path)) or kept[0])
    file = prepare(path)
    assert file.images.embeddings is kept[0].embeddings
    assert np.shares_memory(file.gallery, kept[0].embeddings)


def test_rows_follow_the_reference(tmp_path):
    reference = prepare(write(tmp_path / "a.npz"))
    other = prepare(write(tmp_path / "b.npz", [4, 2, 3, 1, 0]), ("a.npz", reference.images.lists()))
    np.testing.assert_array_equal(other.images.embeddings, reference.images.embeddings)
    assert other.images.paths.tolist() == reference.images.paths.tolist()
    assert other.file_rows.tolist() == [3, 2, 4, 1, 0]


def test_another_list_than_the_reference_is_refused_by_name(tmp_path):
    reference = prepare(write(tmp_path / "a.npz", [0, 1, 2]))
    with pytest.raises(InputError, match=r"b.npz has 2 query images and a.npz 1"):
        prepare(write(tmp_path / "b.npz"), ("a.npz", reference.images.lists()))


def test_records_are_in_the_order_of_ranking(tmp_path):
    file = prepare(write(tmp_path / "a.npz"))
    assert file.records()[:3] == [
        ReIDRecord(Path("c/1.jpg"), 1, 11),
        ReIDRecord(Path("c/3.jpg"), 3, 13),
        ReIDRecord(Path("c/0.jpg"), 0, 10),
    ]
    assert file.records(Path("/data"))[4].path == Path("/data/c/4.jpg")
    nameless = prepare(write(tmp_path / "b.npz", paths=False))
    assert [str(record.path) for record in nameless.records()] == ["row 1", "row 3", "row 0", "row 2", "row 4"]


def test_lengths_are_mended_and_told(tmp_path):
    file = prepare(write(tmp_path / "a.npz", scale=3.0))
    assert file.rescaled
    np.testing.assert_allclose(np.linalg.norm(file.images.embeddings, axis=1), 1, atol=1e-6)
    with pytest.raises(InputError, match=r"a0.npz: embedding of row 0 is 0"):
        prepare(write(tmp_path / "a0.npz", scale=0.0))
