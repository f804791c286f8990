"""The table of camera pairs against an evaluation of each cell on its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation import block_sizes
from dgreid.evaluation.camera_pairs import OneCamera, evaluate_camera_pairs
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_similarities
from dgreid.evaluation.similarity import matrix_blocks

RULES = settings(deadline=None, derandomize=True, max_examples=40)


def problem(seed, queries=14, gallery=60, identities=6, cameras=(0, 3, 4), levels=None, unknown=True):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((queries, gallery))
    if levels:
        scores = np.round(scores * levels) / levels
    known = [-1, *cameras] if unknown else list(cameras)
    labels = [Labels(rng.integers(0, identities, size), rng.choice(known, size)) for size in (queries, gallery)]
    labels[0].identities[0] = identities + 5  # a query that nobody matches
    labels[0].identities[1], labels[0].cameras[1] = 0, 0  # and one that somebody does
    labels[1].identities[0], labels[1].cameras[0] = 0, 3
    return scores, *labels


def average_precision(match, scores):
    """The mean over matches of the share of matches among all that score no less; by comparing all pairs."""
    no_less = scores >= scores[match][:, None]
    return np.mean([match[images].mean() for images in no_less])


def cell(scores, query, gallery, query_camera, gallery_camera, same_camera):
    """(valid queries, mAP, rank 1) of one pair of cameras, by a loop over its queries."""
    if query_camera == gallery_camera != -1 and same_camera == "ignore":
        return 0, np.nan, np.nan  # whatever shows the query's identity is junk
    columns = np.flatnonzero(gallery.cameras == gallery_camera)
    precisions, firsts = [], []
    for i in np.flatnonzero(query.cameras == query_camera):
        match = gallery.identities[columns] == query.identities[i]
        if match.any():
            precisions.append(average_precision(match, scores[i, columns]))
            firsts.append(match[np.argmax(scores[i, columns])])  # the first of equal ones
    return (len(firsts), np.mean(precisions), np.mean(firsts)) if firsts else (0, np.nan, np.nan)


@RULES
@given(st.integers(0, 10_000), st.sampled_from([None, 2]), st.sampled_from(["ignore", "keep"]))
def test_each_cell_is_an_evaluation_of_its_own(seed, levels, same_camera):
    scores, query, gallery = problem(seed, levels=levels)
    table = evaluate_camera_pairs(matrix_blocks(scores), query, gallery, same_camera)
    assert table.query_cameras.tolist() == sorted(set(query.cameras.tolist()))
    assert table.gallery_cameras.tolist() == sorted(set(gallery.cameras.tolist()))
    for row, query_camera in enumerate(table.query_cameras):
        for column, gallery_camera in enumerate(table.gallery_cameras):
            count, precision, rank1 = cell(scores, query, gallery, query_camera, gallery_camera, same_camera)
            assert table.queries[row, column] == count
            np.testing.assert_allclose(table.mean_average_precision[row, column], precision, atol=1e-12)
            np.testing.assert_allclose(table.rank1[row, column], rank1, atol=1e-12)


def test_two_cameras_make_one_cell_that_is_the_whole_evaluation():
    scores, query, gallery = problem(1)
    query, gallery = Labels(query.identities, np.full(14, 2)), Labels(gallery.identities, np.full(60, 5))
    table = evaluate_camera_pairs(matrix_blocks(scores), query, gallery)
    whole = evaluate_similarities(scores, query, gallery)
    assert table.mean_average_precision.item() == pytest.approx(whole.mean_average_precision, abs=1e-12)
    assert table.rank1.item() == whole.cmc[0]
    assert table.queries.item() == whole.valid.sum()


def test_a_camera_is_paired_with_itself_only_if_told_or_unknown():
    scores, query, gallery = problem(2, queries=40)
    ignored = evaluate_camera_pairs(matrix_blocks(scores), query, gallery)
    kept = evaluate_camera_pairs(matrix_blocks(scores), query, gallery, "keep")
    assert ignored.query_cameras.tolist() == ignored.gallery_cameras.tolist() == [-1, 0, 3, 4]
    assert np.diag(ignored.queries)[1:].tolist() == [0, 0, 0]
    assert ignored.queries[0, 0] > 0
    assert np.isnan(ignored.rank1[1, 1])
    assert (np.diag(kept.queries) > 0).all()
    off_diagonal = ~np.eye(4, dtype=bool)
    np.testing.assert_array_equal(kept.rank1[off_diagonal], ignored.rank1[off_diagonal])


@RULES
@given(st.integers(0, 10_000))
def test_the_order_of_the_gallery_does_not_matter_without_ties(seed):
    scores, query, gallery = problem(seed)
    order = np.random.default_rng(seed).permutation(60)
    shuffled = Labels(gallery.identities[order], gallery.cameras[order])
    before = evaluate_camera_pairs(matrix_blocks(scores), query, gallery)
    after = evaluate_camera_pairs(matrix_blocks(scores[:, order]), query, shuffled)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_blocks_of_any_length_give_the_same_table(monkeypatch):
    scores, query, gallery = problem(3)
    whole = evaluate_camera_pairs(matrix_blocks(scores), query, gallery)
    monkeypatch.setattr(block_sizes, "BLOCK_QUERIES", 4)
    for one, other in zip(whole, evaluate_camera_pairs(matrix_blocks(scores), query, gallery), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_block_on_a_device_is_counted_like_one_of_numpy():
    scores, query, gallery = problem(6, levels=2)
    for camera in (-1, 0, 3, 4):
        part = OneCamera(query, gallery, camera, "ignore")
        for one, other in zip(part.figures(scores, 0, 14), part.figures(torch.from_numpy(scores), 0, 14), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_summary_names_the_pairs_that_hold_queries():
    scores, query, gallery = problem(4)
    table = evaluate_camera_pairs(matrix_blocks(scores), query, gallery)
    summary = table.summary()
    assert len(summary) == np.count_nonzero(table.queries) < table.queries.size
    assert "unknown->unknown" in summary
    assert "3->3" not in summary
    assert summary["0->3"] == {
        "queries": table.queries[1, 2],
        "mAP": table.mean_average_precision[1, 2],
        "rank1": table.rank1[1, 2],
    }
    assert json.loads(json.dumps(summary)) == summary


def test_a_table_without_a_cell_is_refused():
    scores, query, gallery = problem(5)
    with pytest.raises(InputError, match="none of the 14 queries has a match"):
        evaluate_camera_pairs(matrix_blocks(scores), Labels(query.identities + 100, query.cameras), gallery)
    with pytest.raises(InputError, match="same_camera=all"):
        evaluate_camera_pairs(matrix_blocks(scores), query, gallery, "all")
