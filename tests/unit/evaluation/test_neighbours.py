"""Search by faiss against full sorts, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dgreid.errors import InputError
from dgreid.evaluation import neighbours as module
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.neighbours import NeighbourIndex, faiss_blocks
from dgreid.evaluation.ranking import evaluate_blocks, evaluate_embeddings


def vectors(count, dimension=16, seed=0, people=50):
    """Unit vectors of people who are near one another's, as float32."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((people, dimension))
    rows = centres[rng.integers(0, people, count)] + 0.5 * rng.standard_normal((count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def oracle(queries, gallery, k):
    """Scores and indices by a full sort in float64."""
    scores = queries.astype(np.float64) @ gallery.astype(np.float64).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


@pytest.mark.parametrize("k", [1, 7, 300])
def test_exact_search_equals_a_full_sort(k):
    gallery, queries = vectors(300), vectors(20, seed=1)
    found = NeighbourIndex.build(gallery).search(queries, k)
    scores, indices = oracle(queries, gallery, k)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)
    assert (found.scores.dtype, found.indices.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize(
    "convert",
    [
        torch.from_numpy,
        lambda rows: torch.from_numpy(rows).half(),
        lambda rows: torch.from_numpy(rows).bfloat16(),
        lambda rows: torch.from_numpy(rows).double().requires_grad_(),
        lambda rows: rows.astype(np.float16),
        np.asfortranarray,
    ],
)
def test_any_floating_point_rows_serve(convert):
    gallery, queries = convert(vectors(200)), convert(vectors(10, seed=1))
    found = NeighbourIndex.build(gallery).search(queries, 5)
    as_they_are = [torch.as_tensor(rows).detach().float().numpy() for rows in (queries, gallery)]
    np.testing.assert_allclose(found.scores, oracle(*as_they_are, 5)[0], atol=1e-6)


def test_a_kind_can_be_checked_before_there_are_vectors():
    module.check_kind("IVF8,Flat", 16, "nprobe=4")
    module.check_kind("exact", 16)
    with pytest.raises(InputError, match="kind=HSNW32 for vectors of 16 numbers: faiss says"):
        module.check_kind("HSNW32", 16)
    with pytest.raises(InputError, match="parameters=nprobe=4 of kind=exact"):
        module.check_kind("exact", 16, "nprobe=4")


def test_vectors_on_disk_are_indexed_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("dgreid.evaluation.indexes.vector_rows.PART_BYTES", 4 * 16 * 64)
    np.save(tmp_path / "vectors.npy", vectors(500))
    stored, seen = np.load(tmp_path / "vectors.npy", mmap_mode="r"), []
    index = NeighbourIndex.build(stored, progress=seen.append)
    assert seen == [64, 128, 192, 256, 320, 384, 448, 500]
    np.testing.assert_array_equal(index.search(stored[:9], 4).indices, oracle(stored[:9], stored, 4)[1])


@pytest.mark.parametrize("kind", ["exact", "IVF8,Flat", "HNSW16", "IVF8,SQ8"])
def test_adding_equals_building_from_all(kind):
    gallery, queries = vectors(800), vectors(30, seed=1)
    options = {"parameters": {"IVF8,Flat": "nprobe=8", "IVF8,SQ8": "nprobe=8", "HNSW16": "efSearch=500"}.get(kind, "")}
    index = NeighbourIndex.build(gallery[:500], kind, **options)
    index.add(gallery[500:790])
    index.add(torch.from_numpy(gallery[790:]))
    assert (index.size, index.dimension, index.kind) == (800, 16, kind)
    np.testing.assert_array_equal(index.search(queries, 1).indices, oracle(queries, gallery, 1)[1])
    assert index.recall.at_10 > 0.9


def test_recall_is_that_of_its_own_vectors_without_themselves():
    gallery = vectors(700)
    index = NeighbourIndex.build(gallery[:400], "IVF8,Flat", recall_queries=60)
    index.add(gallery[400:])
    own = np.sort(np.random.default_rng(0).choice(400, 60, replace=False))
    exact, found = oracle(gallery[own], gallery, 11)[1], index.search(gallery[own], 11).indices

    def hits(k):
        return np.mean(
            [len({*a[a != i][:k]} & {*b[b != i][:k]}) / k for i, a, b in zip(own, exact, found, strict=True)]
        )

    assert 0.1 < index.recall.at_1 < 1
    assert index.recall == pytest.approx((hits(1), hits(10), 60), abs=1e-12)
    index.set_parameters("nprobe=8")
    assert index.recall == (1.0, 1.0, 60)


def test_recall_is_saved_with_an_index_that_is_asked_for_it_later(tmp_path):
    index = NeighbourIndex.build(vectors(400), "HNSW8", recall_queries=40)
    loaded = NeighbourIndex.load(index.save(tmp_path / "i"))
    loaded.add(vectors(400, seed=5))
    assert loaded.recall.queries == 40
    assert NeighbourIndex.load(loaded.save(tmp_path / "i")).recall == loaded.recall


def test_nothing_of_an_exact_index_is_measured():
    assert NeighbourIndex.build(vectors(3)).recall == (1.0, 1.0, 0)


def test_half_precision_takes_half_the_memory(tmp_path):
    gallery, queries = vectors(3000, 64), vectors(20, 64, seed=1)
    sizes = []
    for half in (False, True):
        index = NeighbourIndex.build(gallery, float16=half, recall_queries=20)
        sizes.append(index.save(tmp_path / f"{half}.index").stat().st_size)
        np.testing.assert_allclose(index.search(queries, 5).scores, oracle(queries, gallery, 5)[0], atol=1e-3)
    assert sizes[1] < 0.55 * sizes[0]
    assert index.recall.at_10 > 0.98
    assert index.recall.queries == 20


def test_what_an_approximate_index_does_not_find_is_marked():
    found = NeighbourIndex.build(vectors(400), "IVF8,Flat", parameters="nprobe=1").search(vectors(5, seed=1), 400)
    missing = found.indices == -1
    assert missing.any()
    assert np.isneginf(found.scores[missing]).all()
    assert np.isfinite(found.scores[~missing]).all()


def test_parts_that_are_searched_apart_make_up_the_whole():
    """As the documentation tells to do it over machines."""
    gallery, queries, k = vectors(300), vectors(20, seed=1), 9
    parts = [NeighbourIndex.build(gallery[start:stop]) for start, stop in ((0, 100), (100, 170), (170, 300))]
    found = [index.search(queries, k) for index in parts]
    starts = np.cumsum([0, *(index.size for index in parts[:-1])])
    scores = np.hstack([one.scores for one in found])
    indices = np.hstack([one.indices + start for one, start in zip(found, starts, strict=True)])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(np.take_along_axis(indices, best, axis=1), oracle(queries, gallery, k)[1])


def test_threads_are_of_the_call_alone(monkeypatch):
    during = []
    index = NeighbourIndex.build(vectors(20), threads=3)
    before = module.faiss.omp_get_max_threads()
    monkeypatch.setattr(index, "_searched", lambda: during.append(module.faiss.omp_get_max_threads()) or index._index)
    index.search(vectors(2), 1)
    index.threads = None
    index.search(vectors(2), 1)
    assert during == [3, torch.get_num_threads()]
    assert module.faiss.omp_get_max_threads() == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64, torch.float16])
def test_a_whole_evaluation_on_the_flat_index_equals_the_blocked_one(dtype, monkeypatch):
    monkeypatch.setattr("dgreid.evaluation.indexes.neighbour_lists.RANKING_BYTES", 1)
    rng = np.random.default_rng(3)
    gallery, query = vectors(900, 32), vectors(150, 32, seed=1)
    if isinstance(dtype, torch.dtype):
        gallery, query = torch.from_numpy(gallery).to(dtype), torch.from_numpy(query).to(dtype)
    else:
        gallery, query = gallery.astype(dtype), query.astype(dtype)
    labels = [Labels(rng.integers(0, 40, size), rng.integers(0, 4, size)) for size in (150, 900)]
    by_faiss = evaluate_blocks(faiss_blocks(query, gallery), *labels)
    by_blocks = evaluate_embeddings(query, gallery, *labels)
    for one, other in zip(by_faiss, by_blocks, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def built():
    return NeighbourIndex.build(vectors(40))


NAN = vectors(5)
NAN[3, 2] = np.nan
INFINITE = torch.from_numpy(vectors(5))
INFINITE[1, 0] = float("inf")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NeighbourIndex.build(NAN), "vectors: row 3 is NaN or infinite"),
        (lambda: built().search(INFINITE, 1), "queries: row 1 is NaN or infinite"),
        (lambda: built().add(NAN), "vectors: row 3 is NaN"),
        (lambda: NeighbourIndex.build(np.ones(5)), r"shape \(5,\); give a matrix"),
        (lambda: NeighbourIndex.build(np.ones((0, 5))), r"shape \(0, 5\); give a matrix with a row .* at least one"),
        (lambda: NeighbourIndex.build(np.ones((5, 2), dtype=int)), "vectors are int64; give floating point"),
        (lambda: built().search(vectors(2, 8), 1), "queries have 8 columns, the index has 16"),
        (lambda: built().add(vectors(2, 8)), "vectors have 8 columns, the index has 16"),
        (lambda: built().search(vectors(2), 0), "k=0: the index has 40 vectors; choose k from 1 to 40"),
        (lambda: built().search(vectors(2), 41), "k=41: the index has 40 vectors"),
        (
            lambda: NeighbourIndex.build(vectors(99), "IFV8,Flat"),
            "faiss says: could not parse index string IFV8,Flat; choose",
        ),
        (lambda: NeighbourIndex.build(vectors(99), "PQ7"), "kind=PQ7 for vectors of 16 numbers: faiss says"),
        (lambda: NeighbourIndex.build(vectors(99), "IVF8,Flat"), r"8 cells need 312 .* 99; .*exact or kind=IVF2,Flat$"),
        (lambda: NeighbourIndex.build(vectors(9), "HNSW8"), "9 vectors are too few to measure recall .* kind=exact"),
        (lambda: NeighbourIndex.build(vectors(99), "HNSW8", recall_queries=0), "recall_queries=0"),
        (lambda: NeighbourIndex.build(vectors(99), "HNSW0"), "kind=HNSW0: sizes begin at 1, links of HNSW at 2"),
        (lambda: NeighbourIndex.build(vectors(99), "IVF2_HNSW1,Flat"), "kind=IVF2_HNSW1,Flat: sizes begin"),
        (lambda: NeighbourIndex.build(vectors(99), "HNSW8", float16=True), "kind=HNSW8, float16=True: .*SQfp16"),
        (lambda: NeighbourIndex.build(vectors(99), parameters="nprobe=2"), "parameters=nprobe=2 of kind=exact: faiss"),
        (
            lambda: NeighbourIndex.build(vectors(99), "HNSW8", parameters="efSearch"),
            "parameters=efSearch of kind=H",
        ),
        (lambda: NeighbourIndex.build(vectors(9), device="gpus"), "device=gpus: did you mean 'gpu'"),
        (lambda: faiss_blocks(vectors(3, 8), vectors(3)), "queries have 8 columns, the index has 16"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_refused_addition_leaves_the_index_as_it_was():
    index = built()
    with pytest.raises(InputError, match="row 3"):
        index.add(NAN)
    assert index.size == 40


def test_no_gpu_is_no_gpu(monkeypatch):
    monkeypatch.setattr(module.faiss, "get_num_gpus", lambda: 0)
    with pytest.raises(InputError, match="device=gpu: faiss sees no GPU; use device=cpu"):
        NeighbourIndex.build(vectors(9), device="gpu")
    assert NeighbourIndex.build(vectors(9), device="auto").device == "cpu"


def test_what_gpus_are_asked_for(monkeypatch, tmp_path):
    """The calls of faiss's interface for GPUs, which return the index itself here."""
    asked = []

    def clone(index, options):
        asked.append((index.ntotal, options.shard, options.useFloat16))
        return index

    path = built().save(tmp_path / "i")
    monkeypatch.setattr(module.faiss, "get_num_gpus", lambda: 2)
    monkeypatch.setattr(module.faiss, "index_cpu_to_all_gpus", clone)
    index = NeighbourIndex.build(vectors(2100), device="auto", float16=True, recall_queries=5)
    assert index.device == "gpu"
    index.search(vectors(3), 2048)
    index.search(vectors(3), 2)
    with pytest.raises(InputError, match="k=2049: faiss finds at most 2048 on a GPU; lower k or use device=cpu"):
        index.search(vectors(3), 2049)
    index.add(vectors(10))
    index.search(vectors(3), 2)
    assert asked == [(2100, True, True), (2110, True, True)]
    with pytest.raises(InputError, match="memory_map=True: a GPU searches a copy"):
        NeighbourIndex.load(path, memory_map=True, device="gpu")


def test_a_process_forked_after_a_search_is_refused_instead_of_hanging():
    index = built()
    index.search(vectors(2), 1)
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            index.search(vectors(2), 1)
        except InputError as error:
            os._exit(0 if "forked" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_faiss_the_package_is_named():
    code = "import sys; sys.modules['faiss'] = None; import dgreid.evaluation.neighbours"
    source = str(Path(module.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert "InputError: faiss cannot be imported" in done.stderr
    assert "pip install faiss-gpu" in done.stderr
