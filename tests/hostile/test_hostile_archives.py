"""Checkpoints, weights and embeddings from elsewhere: code in them, sizes that fill all memory, other files' names."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch
from traps import Trap, object_array, pickled

from dgreid.archives import require_reasonable_size
from dgreid.errors import InputError
from dgreid.evaluation.embedding_files.embedding_file import read_embeddings
from dgreid.export.weights_file import load_exported
from dgreid.nets.small import small
from dgreid.nets.weights import read_state_dict
from dgreid.run.checkpoints import read_checkpoint
from dgreid.run.load import load_run
from dgreid.run.warm_start import start_from


def saved(path, content, zipped=True):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def with_code(path, trace, kind):
    """A file of weights that runs code when a plain unpickler reads it."""
    state = small(width=4).state_dict()
    if kind == "bare pickle":
        path.write_bytes(pickled(trace))
    elif kind == "beside the weights":
        saved(path, {"state_dict": state, "epoch": Trap(trace)})
    elif kind == "among the weights":
        saved(path, {"state_dict": {**state, "backbone.layer9": Trap(trace)}})
    elif kind == "file of old versions":
        saved(path, {"state_dict": state, "epoch": Trap(trace)}, zipped=False)
    elif kind == "as a key":
        saved(path, {"state_dict": state, "keys": {("a", Trap(trace)): 1}})
    else:
        buffer = io.BytesIO()
        torch.save({"a": torch.ones(2)}, buffer)
        with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(path, "w") as changed:
            for entry in whole.infolist():
                swapped = entry.filename.endswith("data.pkl")
                changed.writestr(entry.filename, pickled(trace) if swapped else whole.read(entry))
    return path


KINDS = (
    "bare pickle", "beside the weights", "among the weights", "file of old versions", "as a key", "another data.pkl",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", ["net.weights or checkpoint of evaluate", "init"])
def test_code_in_files_of_weights_is_not_run(door, kind, tmp_path, trace):
    path = with_code(tmp_path / "weights.pth", trace, kind)
    with pytest.raises(InputError, match="weights"):
        start_from(small(width=4), path) if door == "init" else read_state_dict(path)


@pytest.mark.parametrize("kind", KINDS)
def test_code_in_a_checkpoint_of_a_run_is_not_run(kind, tmp_path, trace):
    from bare_runs import bare_run

    run = bare_run(tmp_path / "run")
    with_code(run / "checkpoints" / "selected.ckpt", trace, kind)
    with pytest.raises(InputError, match=r"selected\.ckpt cannot be read as a checkpoint"):
        load_run(run)


def test_code_under_the_name_of_safetensors_is_not_run(tmp_path, trace):
    path = with_code(tmp_path / "weights.safetensors", trace, "beside the weights")
    with pytest.raises(InputError, match="cannot be read"):
        read_state_dict(path)
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load_exported(path)


@pytest.mark.parametrize("name", ["embedding", "identity", "camera", "split", "path", "weights_hash", "format"])
def test_objects_in_embeddings_are_not_unpickled(name, tmp_path, trace):
    arrays = {
        "embedding": np.eye(2, dtype="f4"), "identity": np.arange(2), "camera": np.arange(2),
        "split": np.array(["query", "gallery"]), name: object_array(trace),
    }  # fmt: skip
    np.savez(tmp_path / "a.npz", **arrays, allow_pickle=True)
    with pytest.raises(InputError, match=f"{name} holds Python objects, which could run code"):
        read_embeddings(tmp_path / "a.npz")


def test_a_format_that_is_no_number(tmp_path):
    arrays = {
        "embedding": np.eye(2),
        "identity": np.arange(2),
        "camera": np.arange(2),
        "split": np.array(["query"] * 2),
    }
    np.savez(tmp_path / "a.npz", **arrays, format=np.zeros((), dtype="V4"))
    with pytest.raises(InputError, match="this version reads 1"):
        read_embeddings(tmp_path / "a.npz")


def test_members_of_an_archive_are_never_unpacked_to_disk(tmp_path, trace):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("../elsewhere/trace", str(trace), "embedding.npy"):
            archive.writestr(name, b"text")
    with pytest.raises(InputError, match=r"a\.npz lacks identity"):
        read_embeddings(tmp_path / "a.npz")


def bomb(path, names, inside=2**29):
    """Half a gigabyte of zeros in some hundred kilobytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            with archive.open(name, "w", force_zip64=True) as entry:
                for _ in range(inside // 2**22 // len(names)):
                    entry.write(bytes(2**22))
    return path


def test_archives_that_would_fill_all_memory(tmp_path):
    path = bomb(tmp_path / "bomb.npz", ["embedding.npy", "identity.npy", "camera.npy", "split.npy"])
    assert path.stat().st_size < 2**22
    for read in (read_embeddings, read_state_dict, read_checkpoint):
        with pytest.raises(InputError, match=r"bomb\.npz has .* MB and would unpack to 537 MB"):
            read(path)


def test_packed_embeddings_are_no_bomb(tmp_path):
    np.savez_compressed(tmp_path / "zeros.npz", embedding=np.zeros((1000, 100)))
    require_reasonable_size(tmp_path / "zeros.npz")
    require_reasonable_size(saved(tmp_path / "old.pth", {"a": torch.ones(2)}, zipped=False))


def test_an_array_that_claims_more_than_there_is(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("embedding", "identity", "camera", "split"):
            archive.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(InputError, match="embedding cannot be read"):
        read_embeddings(tmp_path / "a.npz")
