"""Saved indexes come back as they were, and other files are left alone."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from dgreid.errors import InputError
from dgreid.evaluation.neighbours import NeighbourIndex


def vectors(count, seed=0):
    """Unit vectors in 16 dimensions."""
    rows = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def built():
    return NeighbourIndex.build(vectors(40))


@pytest.mark.parametrize("kind", ["exact", "IVF8,Flat", "HNSW16", "IVF8,SQ8", "PCA8,RaBitQ,RFlat"])
@pytest.mark.parametrize("memory_map", [False, True])
def test_a_saved_index_comes_back_as_it_was(kind, memory_map, tmp_path):
    queries = vectors(25, seed=1)
    parameters = "nprobe=3" if "IVF" in kind else ""
    index = NeighbourIndex.build(vectors(600), kind, parameters=parameters, recall_queries=50)
    path = index.save(tmp_path / "folder" / "people.index")
    loaded = NeighbourIndex.load(path, memory_map)
    assert (loaded.kind, loaded.parameters, loaded.size, loaded.recall) == (kind, parameters, 600, index.recall)
    for left, right in zip(loaded.search(queries, 8), index.search(queries, 8), strict=True):
        np.testing.assert_array_equal(left, right)
    assert sorted(child.name for child in path.parent.iterdir()) == ["people.index"]


def resident_bytes():
    """Memory of this process that is not of files."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("RssAnon"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the memory of the process")
@pytest.mark.parametrize("kind", ["exact", "IVF8,Flat", "HNSW8"])
def test_a_memory_mapped_index_stays_on_disk(kind, tmp_path):
    rows = np.tile(vectors(1000), (1, 128))  # 8 MB
    path = NeighbourIndex.build(rows, kind, recall_queries=1).save(tmp_path / "i")
    assert path.stat().st_size > rows.nbytes
    before = resident_bytes()
    index = NeighbourIndex.load(path, memory_map=True)
    found = index.search(rows[:3], 2)
    assert resident_bytes() - before < 0.5 * rows.nbytes
    assert found.indices[:, 0].tolist() == [0, 1, 2]


def test_a_memory_mapped_index_is_read_only(tmp_path):
    loaded = NeighbourIndex.load(built().save(tmp_path / "i"), memory_map=True)
    with pytest.raises(InputError, match="read only; load it with memory_map=False before vectors are added"):
        loaded.add(vectors(2))
    with pytest.raises(InputError, match="before it is saved"):
        loaded.save(tmp_path / "j")


@pytest.mark.parametrize("content", [b"", b"not an index", b"\0" * 4096, None])
def test_a_file_that_is_no_index_is_neither_read_nor_replaced(content, tmp_path):
    path = tmp_path / "people.index"
    if content is None:  # half of one
        content = built().save(tmp_path / "whole").read_bytes()[:1500]
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no index of dgreid, or only a part of one"):
        NeighbourIndex.load(path)
    with pytest.raises(InputError, match="is no index of dgreid"):
        built().save(path)
    assert path.read_bytes() == content


def test_damaged_and_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"none\.index cannot be read: No such file"):
        NeighbourIndex.load(tmp_path / "none.index")
    whole = built().save(tmp_path / "whole").read_bytes()
    (tmp_path / "head").write_bytes(b"xxxx" + whole[4:])
    with pytest.raises(InputError, match=r"head: faiss says: .*; build it again"):
        NeighbourIndex.load(tmp_path / "head")
    note = whole.rindex(b"PK\x01\x02")
    (tmp_path / "note").write_bytes(whole[:note] + b"xxxx" + whole[note + 4 :])
    with pytest.raises(InputError, match=r"note is damaged .*; build it again"):
        NeighbourIndex.load(tmp_path / "note")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        built().save(tmp_path / "file" / "people.index")
