"""k-reciprocal re-ranking against loops over sets, numbers recorded from the IL release, and the laws it obeys."""

from __future__ import annotations

import sys
import tracemalloc
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_blocks
from dgreid.evaluation.reranking import reciprocal, reranked_blocks, reranked_matrix_blocks

sys.path.insert(0, str(Path(__file__).parents[4] / "benchmarks"))
from plain_reranking import rerank

FIXTURE = Path(__file__).parents[3] / "fixtures" / "il" / "rerank.npz"
RULES = settings(deadline=None, derandomize=True, max_examples=40)


@pytest.fixture(scope="module")
def recorded():
    with np.load(FIXTURE) as stored:
        return dict(stored)


def oracle(across, within_query, within_gallery, k1, k2, weight):
    """Final distances by loops over images and sets, every matrix whole."""
    queries = len(across)
    whole = np.block([[within_query, across], [across.T, within_gallery]])
    whole = np.square(whole).astype(np.float32)
    distances = (whole / whole.max(axis=0)).T
    everyone = range(len(distances))
    ranked = [sorted(everyone, key=lambda j: (distances[i, j], j)) for i in everyone]

    def mutual(i, k):
        return {j for j in ranked[i][: k + 1] if i in ranked[j][: k + 1]}

    half = int((Decimal(k1) / 2).to_integral_value(ROUND_HALF_EVEN))
    vectors = np.zeros(distances.shape)
    for i in everyone:
        own = mutual(i, k1)
        joining = [mutual(j, half) for j in own]
        members = sorted(own.union(*(theirs for theirs in joining if 3 * len(theirs & own) > 2 * len(theirs))))
        weights = np.exp(-distances[i, members].astype(np.float64))
        vectors[i, members] = weights / weights.sum()
    if k2 > 1:
        vectors = np.stack([vectors[ranked[i][:k2]].mean(axis=0) for i in everyone])
    shared = np.minimum(vectors[:queries, None], vectors[None, queries:]).sum(axis=2)
    return (1 - weight) * (1 - shared / (2 - shared)) + weight * distances[:queries, queries:]


def unit_vectors(rng, count, width=16, people=8):
    centres = np.random.default_rng(99).standard_normal((people, width))
    vectors = centres[rng.integers(0, people, count)] + 0.8 * rng.standard_normal((count, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def squared_distances(left, right):
    return np.square(left[:, None] - right).sum(axis=2)


def given_distances(seed, queries, gallery, levels, lopsided):
    """Squared distances of unit vectors, with ties where there are levels, and not symmetric where lopsided."""
    rng = np.random.default_rng(seed)
    query, gallery = unit_vectors(rng, queries), unit_vectors(rng, gallery)
    matrices = [squared_distances(*pair) for pair in ((query, gallery), (query, query), (gallery, gallery))]
    if lopsided:
        matrices = [matrix * rng.uniform(0.8, 1.2, matrix.shape) for matrix in matrices]
    return [np.round(matrix * levels) / levels if levels else matrix for matrix in matrices]


@RULES
@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(1, 12),
    gallery=st.integers(1, 40),
    k1=st.integers(1, 24),
    k2=st.integers(1, 30),
    weight=st.sampled_from([0.3, 0, 1]),
    levels=st.sampled_from([None, 4]),
    lopsided=st.booleans(),
)
def test_equals_loops_over_sets_also_with_fewer_images_than_neighbours(
    seed, queries, gallery, k1, k2, weight, levels, lopsided
):
    matrices = given_distances(seed, queries, gallery, levels, lopsided)
    found = reranked_matrix_blocks(*matrices, k1=k1, k2=k2, weight=weight)(0, queries)
    np.testing.assert_allclose(-found, oracle(*matrices, k1, k2, weight), rtol=0, atol=1e-6)


@RULES
@given(seed=st.integers(0, 10_000), k1=st.integers(2, 12), distance=st.sampled_from(["euclidean", "squared"]))
def test_embeddings_give_what_their_distances_give(seed, k1, distance):
    rng = np.random.default_rng(seed)
    query, gallery = unit_vectors(rng, 9), unit_vectors(rng, 33)
    exponent = {"euclidean": 0.5, "squared": 1}[distance]
    pairs = ((query, gallery), (query, query), (gallery, gallery))
    matrices = [squared_distances(*pair) ** exponent for pair in pairs]
    found = reranked_blocks(query, gallery, k1=k1, k2=3, distance=distance)(0, 9)
    np.testing.assert_allclose(-found, oracle(*matrices, k1, 3, 0.3), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("k1", "k2"), [(20, 6), (6, 2), (20, 1)])
def test_recorded_distances_of_the_il_release(recorded, k1, k2):
    expected = recorded[f"rerank_k{k1}_{k2}"]
    given = [recorded[name] for name in ("q_g", "q_q", "g_g")]
    from_distances = reranked_matrix_blocks(*given, k1=k1, k2=k2)
    from_embeddings = reranked_blocks(recorded["q"], recorded["g"], k1=k1, k2=k2, distance="squared")
    for block in (from_distances, from_embeddings):
        np.testing.assert_allclose(-block(0, 14), expected, rtol=0, atol=1e-6)
        np.testing.assert_allclose(-block(5, 9), expected[5:9], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "k1", "k2", "distance"),
    [
        ("rerank_k20_6", 20, 6, "squared"),
        ("rerank_k6_2", 6, 2, "squared"),
        ("rerank_k20_1", 20, 1, "squared"),
        ("Re_ranking_evaluators_k20_6", 20, 6, "euclidean"),
        ("Re_ranking_evaluators_k6_2", 6, 2, "euclidean"),
    ],
)
def test_recorded_figures_of_the_il_release(recorded, name, k1, k2, distance):
    """The release's other procedure squares once; it keeps half precision in between, so its distances differ more."""
    block = reranked_blocks(recorded["q"], recorded["g"], k1=k1, k2=k2, distance=distance)
    np.testing.assert_allclose(-block(0, 14), recorded[name], rtol=0, atol=5e-3)
    labels = (Labels(recorded[f"{set_}id"], recorded[f"{set_}cam"]) for set_ in "qg")
    result = evaluate_blocks(block, *labels)
    assert result.mean_average_precision == pytest.approx(float(recorded[f"{name}.mAP"]), abs=1e-9)
    np.testing.assert_allclose(result.cmc, recorded[f"{name}.cmc"][:50], atol=1e-12)


@RULES
@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_gallery_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    query, gallery = unit_vectors(rng, 6), unit_vectors(rng, 40)
    order = rng.permutation(40)
    found = reranked_blocks(query, gallery)(0, 6)
    np.testing.assert_allclose(reranked_blocks(query, gallery[order])(0, 6), found[:, order], rtol=0, atol=1e-6)


def test_identical_images_of_all_are_no_error():
    """All distances are 0, so the images of least index are everyone's neighbours; most have no mutual ones."""
    query, gallery = np.ones((3, 4)) / 2, np.ones((30, 4)) / 2
    matrices = [np.zeros(shape) for shape in ((3, 30), (3, 3), (30, 30))]
    found = reranked_blocks(query, gallery, k1=5, k2=1)(0, 3)
    np.testing.assert_array_equal(found, reranked_matrix_blocks(*matrices, k1=5, k2=1)(0, 3))
    np.testing.assert_allclose(found[:, 3:], -0.7)
    np.testing.assert_allclose(found[:, :3], 0, atol=1e-6)


@pytest.mark.parametrize("length", [1, 7, 50])
def test_tiles_and_parts_of_any_length_give_the_same(monkeypatch, length):
    rng = np.random.default_rng(0)
    query, gallery = unit_vectors(rng, 11), unit_vectors(rng, 60)
    expected = reranked_blocks(query, gallery)(0, 11)
    monkeypatch.setattr(reciprocal, "LONGEST_TILE", length)
    monkeypatch.setattr(reciprocal, "COMPARISONS_AT_ONCE", 6000 * length)
    np.testing.assert_allclose(reranked_blocks(query, gallery)(0, 11), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        reranked_blocks(query, gallery, memory_limit=60 * 80 * length / 2**20)(0, 11), expected, rtol=0, atol=1e-6
    )


def test_makes_no_matrix_over_all_images():
    rng = np.random.default_rng(0)
    query, gallery = (unit_vectors(rng, count).astype(np.float32) for count in (500, 3500))
    tracemalloc.start()
    block = reranked_blocks(query, gallery, k1=10, memory_limit=8)
    for start in range(0, 500, 50):
        block(start, start + 50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000 * 4000 * 4 / 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype):
    rng = np.random.default_rng(0)
    query, gallery = (torch.from_numpy(unit_vectors(rng, count)).to(dtype) for count in (5, 40))
    wide = reranked_blocks(query.float(), gallery.float())(0, 5)
    np.testing.assert_array_equal(reranked_blocks(query, gallery)(0, 5), wide)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k1": 0}, r"k1=0: give a whole number of images, 1 or more \(the paper: k1=20, k2=6\)"),
        ({"k1": 2.5}, r"k1=2\.5: give a whole number"),
        ({"k2": 0}, "k2=0: give a whole number"),
        ({"k2": True}, "k2=True: give a whole number"),
        ({"weight": 1.1}, r"weight=1\.1: give the share of the original distance, from 0 .* to 1"),
        ({"weight": float("nan")}, "weight=nan"),
        ({"memory_limit": 0}, "memory_limit=0: .* needs 1 MiB; give memory_limit=1 or more"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=message):
        reranked_blocks(unit_vectors(rng, 3), unit_vectors(rng, 30), **options)
    with pytest.raises(InputError, match=message):
        reranked_matrix_blocks(np.ones((3, 30)), np.ones((3, 3)), np.ones((30, 30)), **options)


@pytest.mark.parametrize(("k1", "k2"), [(20, 6), (6, 2), (20, 1)])
def test_what_the_benchmark_compares_with_is_the_released_procedure(recorded, k1, k2):
    found = rerank(*(recorded[name] for name in ("q_g", "q_q", "g_g")), k1=k1, k2=k2)
    np.testing.assert_allclose(found, recorded[f"rerank_k{k1}_{k2}"], rtol=0, atol=1e-6)
