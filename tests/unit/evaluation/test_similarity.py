"""Blocks of similarities: precision, places, what is refused."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch

from dgreid.errors import InputError
from dgreid.evaluation import matrices, similarity
from dgreid.evaluation.similarity import checked_block, embedding_blocks, matrix_blocks, score_rows

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def unit_rows(count, width=24, dtype=torch.float32, seed=0):
    rows = torch.randn(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1).to(dtype)


def is_tensor(values):
    return isinstance(values, torch.Tensor)


@pytest.fixture(params=["host", "device"])
def place(request, monkeypatch):
    """Each test runs with numpy, and with the code for accelerators on tensors that are taken for theirs."""
    if request.param == "device":
        monkeypatch.setattr(matrices, "on_accelerator", is_tensor)
        monkeypatch.setattr(similarity, "on_accelerator", is_tensor)
    return request.param


@pytest.mark.parametrize("query_type", DTYPES)
@pytest.mark.parametrize("gallery_type", DTYPES)
def test_products_are_those_of_the_widened_embeddings(place, monkeypatch, query_type, gallery_type):
    monkeypatch.setattr(similarity, "TILE_BYTES", 7 * 24 * 4)  # a few gallery images at once
    query, gallery = unit_rows(11, dtype=query_type), unit_rows(30, dtype=gallery_type, seed=1)
    block = embedding_blocks(query, gallery)
    double = torch.float64 in (query_type, gallery_type)
    exact = query.double() @ gallery.double().T
    for start, stop in ((0, 4), (4, 11), (2, 3)):
        scores = torch.as_tensor(block(start, stop))
        assert scores.dtype == (torch.float64 if double else torch.float32)
        torch.testing.assert_close(scores.double(), exact[start:stop], rtol=0, atol=1e-15 if double else 3e-7)
        assert is_tensor(block(start, stop)) == (place == "device")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_and_tensors_give_the_same_products(place, dtype):
    query, gallery = (unit_rows(count, seed=count).numpy().astype(dtype) for count in (5, 9))
    from_arrays = embedding_blocks(query, gallery)(0, 5).copy()
    from_tensors = embedding_blocks(torch.from_numpy(query), torch.from_numpy(gallery))(0, 5)
    np.testing.assert_allclose(np.asarray(from_tensors), from_arrays, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_read_only_and_reversed_arrays_are_taken(dtype):
    query, gallery = (unit_rows(count, seed=count).numpy().astype(dtype) for count in (5, 9))
    expected = embedding_blocks(query, gallery)(0, 5)
    query.flags.writeable = gallery.flags.writeable = False
    found = embedding_blocks(query[::-1], gallery[::-1])(0, 5)
    np.testing.assert_array_equal(found, expected[::-1, ::-1])


def test_a_block_overwrites_the_block_before(place):
    query, gallery = unit_rows(8), unit_rows(9, seed=1)
    block = embedding_blocks(query, gallery)
    first = block(0, 4)
    kept = torch.as_tensor(first).clone()
    block(4, 8)
    assert not torch.equal(torch.as_tensor(first), kept)
    torch.testing.assert_close(torch.as_tensor(block(0, 4)), kept, rtol=0, atol=0)


def test_embeddings_keep_no_graph_and_are_not_changed(place):
    query, gallery = unit_rows(4).requires_grad_(), unit_rows(6, seed=1)
    before = query.detach().clone(), gallery.clone()
    assert not torch.as_tensor(embedding_blocks(query, gallery)(0, 4)).requires_grad
    assert torch.equal(query.detach(), before[0])
    assert torch.equal(gallery, before[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda q, g: q.__setitem__((2, 1), float("nan")), "query embeddings: row 2 is NaN"),
        (lambda q, g: g.__setitem__((600, 0), float("inf")), "gallery embeddings: row 600 is NaN or infinite"),
        (lambda q, g: g.__setitem__((699, 3), -float("inf")), "gallery embeddings: row 699 is NaN or infinite"),
    ],
)
def test_values_that_are_not_finite_are_refused(place, dtype, spoil, message):
    query, gallery = unit_rows(12, 4, dtype), unit_rows(700, 4, dtype, seed=1)
    spoil(query, gallery)
    with pytest.raises(InputError, match=message):
        embedding_blocks(query, gallery)


def test_values_that_overflow_a_product_are_refused(place):
    huge = torch.full((3, 4), 1e25)
    with pytest.raises(InputError, match=r"query embeddings: values up to 1e\+25 overflow .* float32; scale each row"):
        embedding_blocks(huge, unit_rows(5, 4))
    assert np.isfinite(np.asarray(embedding_blocks(huge.double(), unit_rows(5, 4))(0, 3))).all()


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        (torch.ones(3, 4), torch.ones(5, 3), "query embeddings have 4 columns and gallery embeddings 3"),
        (torch.ones(3, 2, 2), torch.ones(5, 4), r"query embeddings have shape \(3, 2, 2\)"),
        (torch.ones(3, 4), torch.ones(4), r"gallery embeddings have shape \(4,\)"),
        (np.ones((3, 4), int), np.ones((5, 4)), "query embeddings are int64; give floating point numbers"),
        (np.ones((3, 4)), np.ones((5, 4), "complex64"), "gallery embeddings are complex64"),
        (np.array([["a", "b"]]), np.ones((5, 2)), "query embeddings are <U1"),
    ],
)
def test_what_are_no_embeddings_is_refused(query, gallery, message):
    with pytest.raises(InputError, match=message):
        embedding_blocks(query, gallery)


def test_rows_come_one_by_one_from_anywhere(place):
    matrix = torch.randn(7, 5)
    rows = [row.copy() for row in score_rows(matrix_blocks(matrix), 7, 5)]
    np.testing.assert_array_equal(np.stack(rows), matrix.numpy())


def test_rows_with_nan_are_refused():
    matrix = np.zeros((7, 5))
    matrix[4, 2] = np.nan
    with pytest.raises(InputError, match="similarities of query 4 contain NaN"):
        list(score_rows(matrix_blocks(matrix), 7, 5))
    with pytest.raises(InputError, match=r"memory_limit=0\.0001: one query against 5 gallery"):
        list(score_rows(matrix_blocks(matrix), 7, 5, memory_limit=0.0001))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32])
def test_blocks_of_other_types_are_widened(place, dtype):
    matrix = torch.arange(12).reshape(3, 4).to(dtype)
    checked = checked_block(matrix_blocks(matrix), 1, 3, 4)
    assert is_tensor(checked) == (place == "device")
    assert str(checked.dtype).removeprefix("torch.") in ("float32", "float64")
    np.testing.assert_array_equal(np.asarray(checked), matrix[1:3].double().numpy())


def test_numpy_and_torch_agree_on_where_a_tensor_is():
    assert not matrices.on_accelerator(torch.ones(2))
    assert not matrices.on_accelerator(np.ones(2))
    assert matrices.on_accelerator(torch.ones(2, device="meta"))
    with patch.object(similarity, "on_accelerator", is_tensor):
        assert is_tensor(embedding_blocks(unit_rows(2), unit_rows(3))(0, 2))
