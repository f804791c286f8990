"""Features at unit length, to second derivatives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dgreid.types import Features


def embedding(neck):
    return Features(pooled=neck, neck=neck).embedding


def test_rows_have_unit_length_and_keep_their_direction():
    neck = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(embedding(neck), F.normalize(neck, dim=1), rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_precision_stays_and_large_rows_do_not_overflow(dtype):
    found = embedding(torch.full((2, 2048), 300.0, dtype=dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), torch.full((2, 2048), 2048**-0.5), rtol=1e-2, atol=0)


def test_a_row_of_zeros_stays_one_and_has_second_derivatives():
    neck = torch.zeros(2, 3, dtype=torch.float64)
    neck[1] = torch.tensor([3.0, 0.0, 4.0])
    neck.requires_grad_()
    unit = embedding(neck)
    assert torch.equal(unit[0], torch.zeros(3, dtype=torch.float64))
    weights = torch.tensor([[1.0, 2.0, 3.0]] * 2, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((unit * weights).sum(), neck, create_graph=True)
    (second,) = torch.autograd.grad((gradient * weights).sum(), neck)
    assert bool(gradient.isfinite().all())
    assert bool(second.isfinite().all())


def test_derivatives_of_both_orders():
    neck = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(embedding, (neck,))
    assert torch.autograd.gradgradcheck(embedding, (neck,))
