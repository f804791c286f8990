"""Retrieval figures against plain loops, scikit-learn, recorded problems and the laws they obey."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from retrieval_problems import plain_figures, problem

from dgreid.errors import InputError
from dgreid.evaluation import block_sizes, matrices, similarity
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_blocks, evaluate_embeddings, evaluate_similarities

FIXTURES = Path(__file__).parents[2] / "fixtures"
RULES = settings(deadline=None, derandomize=True, max_examples=40)
LAWS = settings(deadline=None, derandomize=True, max_examples=15)  # for each of the entries


def assert_equal_results(left, right):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def by_embeddings(scores, query, gallery, same_camera="ignore"):
    """The same figures from embeddings: rows of scores as queries, unit vectors as gallery."""
    return evaluate_embeddings(scores, np.eye(scores.shape[1]), query, gallery, same_camera=same_camera)


def by_blocks(scores, query, gallery, same_camera="ignore"):
    """The same figures from a function that overwrites its block."""
    buffer = np.empty_like(scores)

    def block(start, stop):
        buffer[: stop - start] = scores[start:stop]
        return buffer[: stop - start]

    return evaluate_blocks(block, query, gallery, same_camera)


def on_device(evaluate):
    """An entry by the code for accelerators, with tensors of the CPU that are taken for theirs."""

    def run(scores, query, gallery, same_camera="ignore"):
        def is_tensor(values):
            return isinstance(values, torch.Tensor)

        with patch.object(matrices, "on_accelerator", is_tensor), patch.object(similarity, "on_accelerator", is_tensor):
            return evaluate(torch.from_numpy(scores), query, gallery, same_camera)

    return run


def by_tensors(scores, query, gallery, same_camera="ignore"):
    """The same figures from embeddings as tensors."""
    axes = torch.eye(scores.shape[1], dtype=scores.dtype)
    return evaluate_embeddings(scores, axes, query, gallery, same_camera)


ENTRIES = pytest.mark.parametrize(
    "evaluate",
    [evaluate_similarities, by_embeddings, by_blocks, on_device(evaluate_similarities), on_device(by_tensors)],
    ids=["similarities", "embeddings", "blocks", "similarities-device", "embeddings-device"],
)


@ENTRIES
@RULES
@given(
    seed=st.integers(0, 10_000),
    levels=st.sampled_from([None, 100, 4, 1]),
    unknown=st.booleans(),
    same_camera=st.sampled_from(["ignore", "keep"]),
)
def test_figures_equal_plain_loops_with_and_without_ties(evaluate, seed, levels, unknown, same_camera):
    scores, query, gallery = problem(seed, levels=levels, unknown=unknown)
    assert_as_defined(evaluate(scores, query, gallery, same_camera), scores, query, gallery, same_camera)


def assert_as_defined(result, scores, query, gallery, same_camera="ignore"):
    expected = plain_figures(scores, query, gallery, same_camera)
    for name, value in expected._asdict().items():
        np.testing.assert_allclose(getattr(result, name), value, rtol=0, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(result.valid, np.array(expected.first_rank) > 0)


@ENTRIES
@pytest.mark.parametrize("name", ["P1", "P2", "P3ties"])
def test_recorded_problems_of_il(evaluate, name):
    with np.load(FIXTURES / "il" / "ranking.npz") as stored:
        data = {key.removeprefix(f"{name}."): stored[key] for key in stored if key.startswith(f"{name}.")}
    result = evaluate(-data["dist"], Labels(data["qid"], data["qcam"]), Labels(data["gid"], data["gcam"]))
    assert result.mean_average_precision == pytest.approx(float(data["mAP"]), abs=1e-12)
    np.testing.assert_array_equal(result.valid, data["valid_query"])
    if name != "P3ties":  # recorded with an unstable sort
        np.testing.assert_allclose(result.cmc, data["cmc_market"][:50], atol=1e-12)
        accuracies = [result.rank_accuracy(rank) for rank in range(1, 101)]
        np.testing.assert_allclose(accuracies, data["cmc_market"], atol=1e-12)


RECORDED = json.loads((FIXTURES / "m3l" / "metrics.json").read_text())


@ENTRIES
@pytest.mark.parametrize("case", RECORDED["problems"], ids=lambda case: case["name"])
def test_recorded_problems_of_m3l(evaluate, case):
    rng = np.random.default_rng(zlib.crc32(f"metric/{case['name']}".encode()))
    m, n = case["m"], case["n"]
    distances = rng.random((m, n))
    if case["quant"]:
        distances = np.round(distances * case["quant"]) / case["quant"]
    query_ids, gallery_ids = rng.integers(0, case["nid"], m), rng.integers(0, case["nid"], n)
    query_cameras, gallery_cameras = rng.integers(0, case["ncam"], m), rng.integers(0, case["ncam"], n)
    if case["no_match"]:
        query_ids[: case["no_match"]] = case["nid"] + 5
    assert distances.sum() == pytest.approx(case["check"]["dist_sum"], rel=1e-12)
    result = evaluate(-distances, Labels(query_ids, query_cameras), Labels(gallery_ids, gallery_cameras))
    assert result.mean_average_precision == pytest.approx(case["mAP"], abs=1e-12)
    assert result.summary()["queries"] == case["valid_queries"]
    np.testing.assert_allclose(result.cmc[:20], case["cmc_top20_stable_argsort"], atol=1e-12)
    recorded = [value for value in case["per_query_AP"] if value is not None]
    np.testing.assert_allclose(result.average_precision[result.valid], recorded, atol=1e-12)


@pytest.mark.parametrize("case", RECORDED["tie_examples"], ids=lambda case: f"{case['y_true']}")
def test_recorded_tied_scores_of_m3l(case):
    """One query, all of whose gallery images are candidates."""
    matches = np.array(case["y_true"])
    gallery = Labels(np.where(matches, 0, 1), np.ones_like(matches))
    result = evaluate_similarities(np.array([case["score"]]), Labels(np.array([0]), np.array([0])), gallery)
    assert result.mean_average_precision == pytest.approx(case["sklearn_AP"], abs=1e-15)


def test_recorded_distances_of_m3l():
    """The release ranks by squared Euclidean distances of unit vectors, which are 2 - 2 * inner product."""
    recorded = np.array(json.loads((FIXTURES / "m3l" / "pairwise.json").read_text())["dist"])

    def unit_vector(name):
        vector = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(16)
        return vector / np.linalg.norm(vector)

    query, gallery = (
        np.stack([unit_vector(f"pd/{kind}{i}") for i in range(count)])
        for kind, count in zip("qg", recorded.shape, strict=True)
    )
    found = similarity.embedding_blocks(query, gallery)(0, len(query))
    np.testing.assert_allclose(2 - 2 * found, recorded, rtol=0, atol=1e-14)


@ENTRIES
@LAWS
@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_gallery_does_not_matter_without_ties(evaluate, seed):
    scores, query, gallery = problem(seed)
    order = np.random.default_rng(seed + 1).permutation(scores.shape[1])
    shuffled = Labels(gallery.identities[order], gallery.cameras[order])
    assert_equal_results(evaluate(scores, query, gallery), evaluate(scores[:, order], query, shuffled))


@ENTRIES
@LAWS
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([1, 2, 5]))
def test_average_precision_ignores_the_order_of_ties(evaluate, seed, levels):
    scores, query, gallery = problem(seed, levels=levels)
    order = np.random.default_rng(seed + 1).permutation(scores.shape[1])
    shuffled = Labels(gallery.identities[order], gallery.cameras[order])
    left = evaluate(scores, query, gallery)
    right = evaluate(scores[:, order], query, shuffled)
    np.testing.assert_allclose(left.average_precision, right.average_precision, atol=1e-12)


def test_equal_scores_are_ranked_by_gallery_index():
    labels = Labels(np.array([1, 0, 1]), np.array([1, 1, 1]))
    result = evaluate_similarities(np.zeros((1, 3)), Labels(np.array([0]), np.array([0])), labels)
    assert result.first_rank.tolist() == [2]
    assert result.average_precision.tolist() == [pytest.approx(1 / 3)]  # one threshold holds all three


@ENTRIES
@LAWS
@given(seed=st.integers(0, 10_000))
def test_a_perfect_ranking_scores_one(evaluate, seed):
    scores, query, gallery = problem(seed)
    scores = (query.identities[:, None] == gallery.identities[None]) + 0.1 * np.tanh(scores)
    summary = evaluate(scores, query, gallery).summary()
    assert [summary[name] for name in ("mAP", "rank1", "rank5", "rank10", "mINP")] == [1.0] * 5
    assert summary["invalid_queries"] >= 1


@ENTRIES
@LAWS
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([None, 2]))
def test_images_of_the_querys_own_camera_change_nothing(evaluate, seed, levels):
    scores, query, gallery = problem(seed, levels=levels)
    one = Labels(query.identities[1:2], query.cameras[1:2])
    before = evaluate(scores[1:2], one, gallery)
    extra = np.random.default_rng(seed).choice(scores[1], 7)
    at = np.random.default_rng(seed).integers(0, scores.shape[1] + 1, 7)
    more = Labels(np.insert(gallery.identities, at, one.identities[0]), np.insert(gallery.cameras, at, one.cameras[0]))
    after = evaluate(np.insert(scores[1], at, extra)[None], one, more)
    assert_equal_results(before, after)


@ENTRIES
@LAWS
@given(seed=st.integers(0, 10_000))
def test_asking_every_query_twice_changes_nothing(evaluate, seed):
    scores, query, gallery = problem(seed)
    once = evaluate(scores, query, gallery)
    twice = evaluate(np.tile(scores, (2, 1)), Labels(*(np.tile(x, 2) for x in query)), gallery)
    np.testing.assert_allclose(twice.cmc, once.cmc, atol=1e-12)
    assert twice.mean_average_precision == pytest.approx(once.mean_average_precision, abs=1e-12)
    assert twice.mean_inverse_negative_penalty == pytest.approx(once.mean_inverse_negative_penalty, abs=1e-12)


def test_blocks_of_any_length_give_the_same_figures(monkeypatch):
    scores, query, gallery = problem(4, levels=10)
    whole = evaluate_similarities(scores, query, gallery)
    asked = []

    def block(start, stop):
        asked.append((start, stop))
        return torch.from_numpy(scores[start:stop])

    monkeypatch.setattr(block_sizes, "BLOCK_QUERIES", 5)
    for evaluate in (evaluate_similarities, by_embeddings, by_blocks):
        assert_equal_results(whole, evaluate(scores, query, gallery))
    assert_equal_results(whole, evaluate_blocks(block, query, gallery))
    assert asked == [(0, 5), (5, 10), (10, 12)]


def test_little_memory_means_short_blocks():
    scores, query, gallery = problem(5, queries=200, gallery=2000)
    needed = block_sizes.queries_per_block(2000, 0.5, candidates_per_query=400)
    assert needed < 50
    asked = []

    def block(start, stop):
        asked.append(stop - start)
        return scores[start:stop]

    assert_equal_results(
        evaluate_similarities(scores, query, gallery), evaluate_blocks(block, query, gallery, memory_limit=0.5)
    )
    assert max(asked) < 50
    for evaluate, features in ((evaluate_similarities, (scores,)), (evaluate_embeddings, (scores, np.eye(2000)))):
        with pytest.raises(InputError, match=r"memory_limit=0\.05: one query against 2000 gallery images needs 1 MiB"):
            evaluate(*features, query, gallery, memory_limit=0.05)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.uint8])
def test_similarities_of_any_type_are_ranked_as_they_are(dtype):
    scores, query, gallery = problem(11)
    scores = (40 * (scores - scores.min())).astype(dtype)
    assert_as_defined(evaluate_similarities(scores, query, gallery), scores.astype(float), query, gallery)


@pytest.mark.parametrize("evaluate", [evaluate_similarities, on_device(evaluate_similarities)])
def test_large_integers_are_not_rounded_into_ties(evaluate):
    scores, query, gallery = problem(11)
    integers = 2**40 + np.argsort(np.argsort(scores, axis=1), axis=1)
    assert_equal_results(evaluate(integers, query, gallery), evaluate(scores, query, gallery))


@ENTRIES
def test_lists_are_taken(evaluate):
    scores, query, gallery = problem(12, levels=4)
    as_lists = [Labels(*(values.tolist() for values in each)) for each in (query, gallery)]
    assert_equal_results(evaluate(scores, *as_lists), evaluate(scores, query, gallery))
    assert_equal_results(evaluate(scores, *map(tuple, as_lists)), evaluate(scores, query, gallery))


def test_lists_of_similarities_are_taken():
    scores, *labels = problem(12, levels=4)
    expected, rows = evaluate_similarities(scores, *labels), scores.tolist()
    assert_equal_results(evaluate_similarities(rows, *labels), expected)
    assert_equal_results(evaluate_blocks(lambda start, stop: rows[start:stop], *labels), expected)
    unit = np.eye(scores.shape[1]).tolist()
    assert_equal_results(evaluate_embeddings(rows, unit, *labels), expected)


def test_views_and_read_only_arrays_are_taken():
    scores, query, gallery = problem(12)
    scores.flags.writeable = False
    reversed_gallery = Labels(gallery.identities[::-1], gallery.cameras[::-1])
    result = evaluate_similarities(scores[:, ::-1], query, reversed_gallery)
    assert_as_defined(result, scores[:, ::-1], query, reversed_gallery)


def test_similarities_may_be_infinite():
    scores, query, gallery = problem(13)
    scores[:, ::3] = -np.inf
    scores[:, 1::7] = np.inf
    result = evaluate_similarities(scores, query, gallery)
    finite = np.clip(scores, -100, 100)
    assert_as_defined(result, finite, query, gallery)


def test_accuracy_at_any_rank():
    scores, query, gallery = problem(14, queries=30, gallery=400, identities=40)
    result = evaluate_similarities(scores, query, gallery)
    cmc = plain_figures(scores, query, gallery, ranks=400).cmc
    assert [result.rank_accuracy(rank) for rank in range(1, 401)] == pytest.approx(cmc, abs=1e-15)
    assert cmc[49] < cmc[-1] == 1.0
    with pytest.raises(InputError, match="rank=0: ranks count from 1"):
        result.rank_accuracy(0)


def test_the_matrix_is_left_as_it_was():
    scores, query, gallery = problem(5)
    kept = scores.copy()
    evaluate_similarities(scores, query, gallery)
    np.testing.assert_array_equal(scores, kept)


def test_an_unknown_camera_is_never_the_same_camera():
    gallery = Labels(np.array([0, 1]), np.array([-1, -1]))
    result = evaluate_similarities(np.array([[1.0, 0.0]]), Labels(np.array([0]), np.array([-1])), gallery)
    assert result.summary()["mAP"] == 1.0


def test_without_a_camera_rule_images_of_the_same_camera_are_matches():
    labels = Labels(np.array([0, 1, 0]), np.array([2, 2, 3]))
    scores, query = np.array([[0.5, 0.9, 0.1]]), Labels(np.array([0]), np.array([2]))
    ignored = evaluate_similarities(scores, query, labels)
    kept = evaluate_similarities(scores, query, labels, same_camera="keep")
    assert (ignored.first_rank.tolist(), ignored.average_precision.tolist()) == ([2], [1 / 2])
    assert (kept.first_rank.tolist(), kept.average_precision.tolist()) == ([2], [pytest.approx((1 / 2 + 2 / 3) / 2)])


def test_the_summary_holds_plain_numbers():
    summary = evaluate_similarities(*problem(6)).summary()
    assert list(summary) == ["mAP", "rank1", "rank5", "rank10", "mINP", "queries", "invalid_queries"]
    assert json.loads(json.dumps(summary)) == summary


@pytest.mark.parametrize("evaluate", [evaluate_similarities, by_blocks, on_device(evaluate_similarities)])
@pytest.mark.parametrize("query", [0, 3, 11])  # the first one has no match
def test_nan_is_found_wherever_it_is(evaluate, query):
    scores, *labels = problem(9)
    for column in range(scores.shape[1]):
        spoiled = scores.copy()
        spoiled[query, column] = np.nan
        with pytest.raises(InputError, match=f"similarities of query {query} contain NaN"):
            evaluate(spoiled, *labels)


def test_bad_labels_are_refused():
    scores, query, gallery = problem(8)
    with pytest.raises(InputError, match="give one identity and one camera"):
        evaluate_similarities(scores, Labels(query.identities, query.cameras[:-1]), gallery)
    with pytest.raises(InputError, match="give integers"):
        evaluate_similarities(scores, query, Labels(gallery.identities.astype(float), gallery.cameras))


def test_bad_similarities_are_refused():
    scores, query, gallery = problem(9)
    with pytest.raises(InputError, match=r"expected \(queries, gallery\) = \(12, 60\)"):
        evaluate_similarities(scores.T, query, gallery)
    with pytest.raises(InputError, match="a column for each gallery image"):
        evaluate_blocks(lambda start, stop: scores[start:stop, 1:], query, gallery)
    with pytest.raises(InputError, match="gallery: 59 embeddings but 60 identities"):
        evaluate_embeddings(np.ones((12, 4)), np.ones((59, 4)), query, gallery)
    with pytest.raises(InputError, match="query: 11 embeddings but 12 identities"):
        evaluate_embeddings(np.ones((11, 4)), np.ones((60, 4)), query, gallery)


def test_a_target_that_answers_no_query_is_refused():
    scores, query, gallery = problem(10)
    strangers = Labels(query.identities + 100, query.cameras)
    with pytest.raises(InputError, match=r"none of the 12 .* in the gallery \(same identity, another camera\);"):
        evaluate_similarities(scores, strangers, gallery)
    with pytest.raises(InputError, match=r"none of the 12 .* in the gallery \(same identity\);"):
        evaluate_similarities(scores, strangers, gallery, same_camera="keep")
    nobody = Labels(np.array([], int), np.array([], int))
    with pytest.raises(InputError, match="the gallery is empty"):
        evaluate_similarities(scores[:, :0], query, nobody)
    for empty in (nobody, Labels([], [])):
        with pytest.raises(InputError, match="there are no queries"):
            evaluate_similarities(scores[:0], empty, gallery)


def test_another_rule_for_cameras_is_refused():
    with pytest.raises(InputError, match=r"same_camera=skip: .*known: ignore, keep"):
        evaluate_similarities(*problem(10), same_camera="skip")
