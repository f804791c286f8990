"""Checkpoints, weights, embeddings and the notes of indexes."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from fuzzing import files, fuzzed, only_documented
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from traps import Trap

from dgreid.evaluation.embedding_files.embedding_file import EmbeddingSet, read_embeddings
from dgreid.evaluation.indexes.index_file import read_note, write_with_note
from dgreid.nets.weights import read_state_dict
from dgreid.run.checkpoints import read_checkpoint
from dgreid.search.index_folder import read_embeddings as read_rows

STATE = {"net.a.weight": torch.arange(12.0).reshape(3, 4), "net.b": torch.ones(2, dtype=torch.int64)}
ARRAYS = {
    "embedding": np.eye(4, dtype="f4"), "identity": np.arange(4), "camera": np.array([0, 1, 0, -1]),
    "split": np.array(["query", "gallery", "gallery", "gallery"]), "path": np.array(["a", "b", "c", "d"]),
    "weights_hash": np.array("abc"), "list_hash": np.array(""), "format": np.array(1),
}  # fmt: skip


def checkpoint(trap=None, zipped=True):
    buffer = io.BytesIO()
    content = {"state_dict": STATE, "global_step": 3, "epoch": 1, **({} if trap is None else {"trap": trap})}
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def npz(**options):
    buffer = io.BytesIO()
    (np.savez_compressed if options.pop("packed", False) else np.savez)(buffer, **{**ARRAYS, **options})
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "old", "zip with code", "old with code"])
def test_checkpoints(kind, tmp_path):
    path, trace = tmp_path / "a.ckpt", tmp_path / "trace"
    valid = checkpoint(Trap(trace) if "code" in kind else None, zipped=kind.startswith("zip"))

    @fuzzed
    @given(content=files(valid))
    def tried(content):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of pickles of other protocols
            for read in (read_checkpoint, read_state_dict):
                found = only_documented(lambda read=read: read(path))
                assert found is None or isinstance(found, dict)
        assert not trace.exists()

    tried()


@fuzzed
@given(content=files(save(STATE)))
def test_safetensors(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "a.safetensors"
    path.write_bytes(content)
    only_documented(lambda: read_state_dict(path))


@pytest.mark.parametrize("packed", [False, True])
def test_files_of_embeddings(packed, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(packed=packed))
    assert len(read_embeddings(path).identities) == 4

    @fuzzed
    @given(content=files(npz(packed=packed)))
    def tried(content):
        path.write_bytes(content)
        found = only_documented(lambda: read_embeddings(path))
        assert found is None or isinstance(found, EmbeddingSet)

    tried()


KINDS = (
    "f2", "f4", "f8", "g", "i1", "u8", "i8", "?", "c8", "U3", "S3", "M8[s]", "m8[s]", "V4", "O",
    [("a", "f4"), ("b", "U1")],
)  # fmt: skip


@fuzzed
@given(
    name=st.sampled_from(sorted(ARRAYS)),
    kind=st.sampled_from(KINDS),
    shape=st.lists(st.integers(0, 5), max_size=3),
    seed=st.integers(0, 9),
)
def test_embeddings_of_other_types_and_shapes(name, kind, shape, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "a.npz"
    drawn = np.random.default_rng(seed).integers(-1, 3, size=shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array = drawn.astype(kind)
        except (TypeError, ValueError):
            array = np.zeros(shape, dtype=kind)
        path.write_bytes(npz(**{name: array}))
        only_documented(lambda: read_embeddings(path))


def rows(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@fuzzed
@given(content=files(rows(np.eye(4, dtype="f2"))))
def test_embeddings_of_an_index(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "embeddings-0.npy"
    path.write_bytes(content)
    found = only_documented(lambda: read_rows(path, 4))
    assert found is None or found.shape[0] == 4


def test_notes_of_indexes(tmp_path):
    path = tmp_path / "a.faiss"
    settings = {"kind": "HNSW8", "float16": False, "parameters": "", "recall": [1.0, 0.5, 7]}
    probe = {
        "vectors": np.eye(3, dtype="f4"), "own": np.arange(3), "scores": np.zeros((3, 10), "f4"),
        "indices": np.zeros((3, 10), "i8"),
    }  # fmt: skip
    write_with_note(path, lambda place: open(place, "wb").close(), settings, probe)
    valid = path.read_bytes()
    assert set(read_note(path)[1]) == set(probe)

    @fuzzed
    @given(content=files(valid))
    def tried(content):
        path.write_bytes(content)
        only_documented(lambda: read_note(path))

    tried()
