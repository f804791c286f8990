"""Retrieval figures against plain loops, scikit-learn, recorded problems and the laws they obey."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from dgreid.errors import InputError
from dgreid.evaluation import similarity
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_blocks, evaluate_embeddings, evaluate_similarities

FIXTURES = Path(__file__).parents[2] / "fixtures"
RULES = settings(deadline=None, derandomize=True, max_examples=40)


def oracle(scores, query, gallery):
    """The figures by plain loops over a full sort: (mAP, cmc, mINP, AP per query, first rank per query)."""
    precisions, firsts, penalties = [], [], []
    for row, identity, camera in zip(scores, *query, strict=True):
        kept = [
            (-row[j], j, gallery.identities[j] == identity)
            for j in range(len(row))
            if not (gallery.identities[j] == identity and gallery.cameras[j] == camera and camera != -1)
        ]
        matches = [match for _, _, match in sorted(kept)]
        if not any(matches):
            precisions.append(float("nan"))
            firsts.append(0)
            continue
        ranks = [place for place, match in enumerate(matches, start=1) if match]
        precisions.append(average_precision_score([m for *_, m in kept], [-s for s, *_ in kept]))
        firsts.append(ranks[0])
        penalties.append(len(ranks) / ranks[-1])
    found = [first for first in firsts if first]
    cmc = [sum(first <= k for first in found) / len(found) for k in range(1, 51)]
    return np.nanmean(precisions), cmc, np.mean(penalties), precisions, firsts


def problem(seed, queries=12, gallery=60, identities=6, cameras=3, levels=None, unknown=False):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((queries, gallery))
    if levels:
        scores = np.round(scores * levels) / levels
    low = -1 if unknown else 0
    labels = [
        Labels(rng.integers(0, identities, size), rng.integers(low, cameras, size)) for size in (queries, gallery)
    ]
    labels[0].identities[0] = identities + 5  # a query that nobody matches
    labels[0].identities[1], labels[0].cameras[1] = 0, 0  # and one that somebody does
    labels[1].identities[0], labels[1].cameras[0] = 0, 1
    return scores, *labels


def assert_equal_results(left, right):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@RULES
@given(st.integers(0, 10_000), st.sampled_from([None, 100, 4, 1]), st.booleans())
def test_figures_equal_plain_loops_with_and_without_ties(seed, levels, unknown):
    scores, query, gallery = problem(seed, levels=levels, unknown=unknown)
    result = evaluate_similarities(scores, query, gallery)
    precision, cmc, penalty, precisions, firsts = oracle(scores, query, gallery)
    assert result.mean_average_precision == pytest.approx(precision, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-12)
    assert result.mean_inverse_negative_penalty == pytest.approx(penalty, abs=1e-12)
    np.testing.assert_allclose(result.average_precision, precisions, atol=1e-12)
    np.testing.assert_array_equal(result.first_rank, firsts)
    np.testing.assert_array_equal(result.valid, np.array(firsts) > 0)


@pytest.mark.parametrize("name", ["P1", "P2", "P3ties"])
def test_recorded_problems_of_il(name):
    with np.load(FIXTURES / "il" / "ranking.npz") as stored:
        data = {key.removeprefix(f"{name}."): stored[key] for key in stored if key.startswith(f"{name}.")}
    result = evaluate_similarities(-data["dist"], Labels(data["qid"], data["qcam"]), Labels(data["gid"], data["gcam"]))
    assert result.mean_average_precision == pytest.approx(float(data["mAP"]), abs=1e-12)
    np.testing.assert_array_equal(result.valid, data["valid_query"])
    if name != "P3ties":  # recorded with an unstable sort
        np.testing.assert_allclose(result.cmc, data["cmc_market"][:50], atol=1e-12)


RECORDED = json.loads((FIXTURES / "m3l" / "metrics.json").read_text())


@pytest.mark.parametrize("case", RECORDED["problems"], ids=lambda case: case["name"])
def test_recorded_problems_of_m3l(case):
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
    result = evaluate_similarities(-distances, Labels(query_ids, query_cameras), Labels(gallery_ids, gallery_cameras))
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


@RULES
@given(st.integers(0, 10_000))
def test_the_order_of_the_gallery_does_not_matter_without_ties(seed):
    scores, query, gallery = problem(seed)
    order = np.random.default_rng(seed + 1).permutation(scores.shape[1])
    shuffled = Labels(gallery.identities[order], gallery.cameras[order])
    assert_equal_results(
        evaluate_similarities(scores, query, gallery), evaluate_similarities(scores[:, order], query, shuffled)
    )


@RULES
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 5]))
def test_average_precision_ignores_the_order_of_ties(seed, levels):
    scores, query, gallery = problem(seed, levels=levels)
    order = np.random.default_rng(seed + 1).permutation(scores.shape[1])
    shuffled = Labels(gallery.identities[order], gallery.cameras[order])
    left = evaluate_similarities(scores, query, gallery)
    right = evaluate_similarities(scores[:, order], query, shuffled)
    np.testing.assert_allclose(left.average_precision, right.average_precision, atol=1e-12)


def test_equal_scores_are_ranked_by_gallery_index():
    labels = Labels(np.array([1, 0, 1]), np.array([1, 1, 1]))
    result = evaluate_similarities(np.zeros((1, 3)), Labels(np.array([0]), np.array([0])), labels)
    assert result.first_rank.tolist() == [2]
    assert result.average_precision.tolist() == [pytest.approx(1 / 3)]  # one threshold holds all three


@RULES
@given(st.integers(0, 10_000))
def test_a_perfect_ranking_scores_one(seed):
    scores, query, gallery = problem(seed)
    scores = (query.identities[:, None] == gallery.identities[None]) + 0.1 * np.tanh(scores)
    summary = evaluate_similarities(scores, query, gallery).summary()
    assert [summary[name] for name in ("mAP", "rank1", "rank5", "rank10", "mINP")] == [1.0] * 5
    assert summary["invalid_queries"] >= 1


@RULES
@given(st.integers(0, 10_000), st.sampled_from([None, 2]))
def test_images_of_the_querys_own_camera_change_nothing(seed, levels):
    scores, query, gallery = problem(seed, levels=levels)
    one = Labels(query.identities[1:2], query.cameras[1:2])
    before = evaluate_similarities(scores[1:2], one, gallery)
    extra = np.random.default_rng(seed).choice(scores[1], 7)
    at = np.random.default_rng(seed).integers(0, scores.shape[1] + 1, 7)
    more = Labels(np.insert(gallery.identities, at, one.identities[0]), np.insert(gallery.cameras, at, one.cameras[0]))
    after = evaluate_similarities(np.insert(scores[1], at, extra)[None], one, more)
    assert_equal_results(before, after)


@RULES
@given(st.integers(0, 10_000))
def test_asking_every_query_twice_changes_nothing(seed):
    scores, query, gallery = problem(seed)
    once = evaluate_similarities(scores, query, gallery)
    twice = evaluate_similarities(np.tile(scores, (2, 1)), Labels(*(np.tile(x, 2) for x in query)), gallery)
    np.testing.assert_allclose(twice.cmc, once.cmc, atol=1e-12)
    assert twice.mean_average_precision == pytest.approx(once.mean_average_precision, abs=1e-12)
    assert twice.mean_inverse_negative_penalty == pytest.approx(once.mean_inverse_negative_penalty, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_embeddings_rank_like_their_similarities(dtype):
    _, query, gallery = problem(3)
    vectors = torch.nn.functional.normalize(torch.randn(72, 16), dim=1).to(dtype)
    wide = vectors.double() if dtype == torch.float64 else vectors.float()
    similarities = wide[:12] @ wide[12:].T
    labels = [Labels(*(torch.from_numpy(x) for x in part)) for part in (query, gallery)]
    assert_equal_results(
        evaluate_embeddings(vectors[:12], vectors[12:], *labels), evaluate_similarities(similarities, query, gallery)
    )


def test_blocks_of_any_length_give_the_same_figures(monkeypatch):
    scores, query, gallery = problem(4, levels=10)
    whole = evaluate_similarities(scores, query, gallery)
    vectors = np.random.default_rng(4).standard_normal((72, 8))
    embedded = evaluate_embeddings(vectors[:12], vectors[12:], query, gallery)
    asked = []

    def block(start, stop):
        asked.append((start, stop))
        return torch.from_numpy(scores[start:stop])

    monkeypatch.setattr(similarity, "BLOCK_QUERIES", 5)
    assert_equal_results(whole, evaluate_blocks(block, query, gallery))
    assert asked == [(0, 5), (5, 10), (10, 12)]
    assert_equal_results(embedded, evaluate_embeddings(vectors[:12], vectors[12:], query, gallery))


def test_the_matrix_is_left_as_it_was():
    scores, query, gallery = problem(5)
    kept = scores.copy()
    evaluate_similarities(scores, query, gallery)
    np.testing.assert_array_equal(scores, kept)


def test_a_block_stays_within_its_memory():
    assert similarity.queries_per_block(82_161) * 82_161 * 8 <= similarity.BLOCK_BYTES
    assert similarity.queries_per_block(10**9) == 1
    assert similarity.queries_per_block(0) == similarity.BLOCK_QUERIES


def test_an_unknown_camera_is_never_the_same_camera():
    gallery = Labels(np.array([0, 1]), np.array([-1, -1]))
    result = evaluate_similarities(np.array([[1.0, 0.0]]), Labels(np.array([0]), np.array([-1])), gallery)
    assert result.summary()["mAP"] == 1.0


def test_the_summary_holds_plain_numbers():
    summary = evaluate_similarities(*problem(6)).summary()
    assert list(summary) == ["mAP", "rank1", "rank5", "rank10", "mINP", "queries", "invalid_queries"]
    assert json.loads(json.dumps(summary)) == summary


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda q, g: q.__setitem__((2, 1), float("nan")), "query embeddings: row 2 is NaN"),
        (lambda q, g: g.__setitem__((7, 0), float("inf")), "gallery embeddings: row 7 is NaN or infinite"),
        (lambda q, g: g.resize_(60, 3), "4 columns and gallery embeddings 3"),
        (lambda q, g: g.resize_(59, 4), "gallery: 59 embeddings but 60 identities"),
        (lambda q, g: q.resize_(12, 2, 2), r"query embeddings have shape \(12, 2, 2\)"),
    ],
)
def test_bad_embeddings_are_refused(spoil, message):
    _, query, gallery = problem(7)
    vectors, others = torch.randn(12, 4), torch.randn(60, 4)
    spoil(vectors, others)
    with pytest.raises(InputError, match=message):
        evaluate_embeddings(vectors, others, query, gallery)


def test_integer_embeddings_are_refused():
    _, query, gallery = problem(7)
    with pytest.raises(InputError, match="query embeddings are int64"):
        evaluate_embeddings(np.ones((12, 4), int), np.ones((60, 4)), query, gallery)


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
    scores[3, 4] = np.nan
    with pytest.raises(InputError, match="similarities of query 3 contain NaN"):
        evaluate_similarities(scores, query, gallery)


def test_a_target_that_answers_no_query_is_refused():
    scores, query, gallery = problem(10)
    with pytest.raises(InputError, match="none of the 12 queries has a match"):
        evaluate_similarities(scores, Labels(query.identities + 100, query.cameras), gallery)
    nobody = Labels(np.array([], int), np.array([], int))
    with pytest.raises(InputError, match="the gallery is empty"):
        evaluate_similarities(scores[:, :0], query, nobody)
