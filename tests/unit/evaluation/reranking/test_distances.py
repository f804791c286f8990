"""Distances in tiles, against plain differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from dgreid.errors import InputError
from dgreid.evaluation.reranking import distances as module
from dgreid.evaluation.reranking.distances import EmbeddingDistances, MatrixDistances

QUERIES, GALLERY = 5, 9
SIZE = QUERIES + GALLERY
SPANS = [slice(0, 2), slice(2, QUERIES), slice(QUERIES, 6), slice(6, SIZE)]


def embeddings(dtype=np.float64):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((count, 7)).astype(dtype) for count in (QUERIES, GALLERY)]


def assembled(distances):
    """All of them, from the tiles."""
    found = np.full((SIZE, SIZE), np.nan, np.float32)
    for rows, columns in itertools.product(SPANS, SPANS):
        found[rows, columns] = distances.tile(rows, columns)
    return found


def paired(distances):
    """All of them, from pairs."""
    rows, columns = np.divmod(np.random.default_rng(1).permutation(SIZE * SIZE), SIZE)
    found = np.full((SIZE, SIZE), np.nan, np.float32)
    found[rows, columns] = distances.pairs(rows, columns)
    return found


@pytest.mark.parametrize(("distance", "exponent"), [("euclidean", 2), ("squared", 4)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("read", [assembled, paired])
def test_embeddings_are_as_far_apart_as_their_difference_is_long(distance, exponent, dtype, read):
    query, gallery = embeddings(dtype)
    everyone = np.concatenate([query, gallery]).astype(np.float64)
    expected = np.linalg.norm(everyone[:, None] - everyone, axis=2) ** exponent
    found = read(EmbeddingDistances(query, gallery, distance))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4 if dtype == np.float32 else 1e-12)
    assert found.min() >= 0


def test_pairs_are_computed_in_parts(monkeypatch):
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 10)
    distances = EmbeddingDistances(*embeddings(), "euclidean")
    np.testing.assert_allclose(paired(distances), assembled(distances), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("read", [assembled, paired])
def test_embeddings_on_a_device_are_multiplied_there(monkeypatch, read):
    """No GPU here: tensors of the CPU take the same way."""
    query, gallery = embeddings(np.float32)
    expected = read(EmbeddingDistances(query, gallery, "squared"))
    monkeypatch.setattr(module, "on_accelerator", lambda values: True)
    found = EmbeddingDistances(torch.from_numpy(query), torch.from_numpy(gallery), "squared")
    assert isinstance(found._parts[0], torch.Tensor)
    np.testing.assert_allclose(read(found), expected, rtol=1e-5, atol=1e-4)
    backwards = np.ascontiguousarray(query[::-1])[::-1]
    again = EmbeddingDistances(backwards, torch.from_numpy(gallery), "squared")
    np.testing.assert_array_equal(read(again), read(found))


@pytest.mark.parametrize("read", [assembled, paired])
def test_given_distances_are_squared_and_columns_divided_before_transposing(read):
    """The whole matrix is not symmetric, to tell rows from columns."""
    rng = np.random.default_rng(2)
    across, within_query, within_gallery = (
        rng.uniform(0.1, 5, shape) for shape in ((QUERIES, GALLERY), (QUERIES, QUERIES), (GALLERY, GALLERY))
    )
    whole = np.block([[within_query, across], [across.T, within_gallery]]) ** 2
    expected = (whole / whole.max(axis=0)).T
    found = read(MatrixDistances(across, within_query, within_gallery))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found.max(axis=1), 1)


def test_distances_that_are_all_zero_stay_zero():
    nothing = MatrixDistances(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)))
    np.testing.assert_array_equal(nothing.tile(slice(0, 1), slice(1, 2)), 0)


def test_odd_embeddings_are_refused():
    query, gallery = embeddings()
    with pytest.raises(InputError, match=r"7 columns and gallery embeddings 6; both must come from one net"):
        EmbeddingDistances(query, gallery[:, :6], "euclidean")
    with pytest.raises(InputError, match="0 queries and 9 gallery images; give at least one each"):
        EmbeddingDistances(query[:0], gallery, "euclidean")
    with pytest.raises(InputError, match=r"distance=cosine: .*known: euclidean, squared"):
        EmbeddingDistances(query, gallery, "cosine")
    with pytest.raises(InputError, match="gallery embeddings: row 3 is NaN"):
        EmbeddingDistances(query, np.where(np.arange(GALLERY)[:, None] == 3, np.nan, gallery), "euclidean")
    with pytest.raises(InputError, match=r"distance=squared overflows for embeddings of length .*to unit length"):
        EmbeddingDistances(query * 1e10, gallery, "squared")


def test_odd_matrices_are_refused():
    across, within_query, within_gallery = np.ones((2, 3)), np.ones((2, 2)), np.ones((3, 3))
    with pytest.raises(InputError, match=r"shapes \(2, 3\), \(3, 3\) and \(2, 2\); give \(queries, gallery\)"):
        MatrixDistances(across, within_gallery, within_query)
    with pytest.raises(InputError, match="gallery-gallery distances: row 0 is NaN"):
        MatrixDistances(across, within_query, np.full((3, 3), np.nan))
    with pytest.raises(InputError, match=r"distances up to 1e\+30 squared overflow float32"):
        MatrixDistances(across * 1e30, within_query, within_gallery)
