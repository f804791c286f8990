import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.losses import batch_hard_triplet, pairwise_distances

RECORDED = json.loads((Path(__file__).parents[1] / "fixtures" / "m3l" / "triplet.json").read_text())


def looped_triplet(features, labels, margin):
    """The definition, one anchor at a time."""
    total = 0.0
    for anchor, label in zip(features, labels, strict=True):
        distances = [max(float(((anchor - other) ** 2).sum()), 1e-12) ** 0.5 for other in features]
        positive = max(d for d, other in zip(distances, labels, strict=True) if other == label)
        negative = min(d for d, other in zip(distances, labels, strict=True) if other != label)
        total += max(positive - negative + margin, 0.0)
    return total / len(labels)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=16).filter(lambda labels: len(set(labels)) > 1),
    margin=st.sampled_from([0.0, 0.3, 2.0]),
    seed=st.integers(0, 100),
)
def test_triplet_is_the_loop(labels, margin, seed):
    features = torch.randn(len(labels), 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found = batch_hard_triplet(features, torch.tensor(labels), margin)
    assert float(found) == pytest.approx(looped_triplet(features, labels, margin), abs=1e-6)


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: f"{case['name']}-{case['scale']}")
def test_recorded_m3l_triplet(case):
    name, labels = case["name"], torch.tensor(case["labels"])
    shape = (len(labels), case["dim"])

    def normal(text):
        return torch.from_numpy(np.random.default_rng(zlib.crc32(text.encode())).standard_normal(shape))

    x = (case["scale"] * normal(f"triplet/{name}")).requires_grad_()
    loss = batch_hard_triplet(x, labels, RECORDED["margin"])
    (gradient,) = torch.autograd.grad(loss, x)
    assert loss.item() == pytest.approx(case["loss"], rel=1e-12)
    assert float(gradient.norm()) == pytest.approx(case["grad_norm"], rel=1e-12)
    projection = float((gradient * normal(f"triplet/{name}/proj")).sum())
    assert projection == pytest.approx(case["grad_proj"], rel=1e-11)
    row = torch.tensor(case["grad_row0"], dtype=torch.float64)
    assert torch.allclose(gradient[0, : len(row)], row, rtol=1e-11)


def test_triplet_is_twice_differentiable():
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    features = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: batch_hard_triplet(x, labels, 2.0), features)
    assert torch.autograd.gradgradcheck(lambda x: batch_hard_triplet(x, labels, 2.0), features)


def test_equal_rows_give_finite_first_and_second_derivatives():
    features = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    loss = batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]))
    (gradient,) = torch.autograd.grad(loss, features, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), features, allow_unused=True)
    assert loss.item() == pytest.approx(0.3)
    assert gradient.isfinite().all()
    assert second is None or second.isfinite().all()


def test_distances_have_a_floor_and_are_symmetric():
    features = torch.zeros(3, 2)
    features[2] = torch.tensor([3.0, 4.0])
    expected = torch.tensor([[1e-6, 1e-6, 5], [1e-6, 1e-6, 5], [5, 5, 1e-6]])
    assert torch.allclose(pairwise_distances(features), expected)


def test_one_identity_alone_is_refused():
    with pytest.raises(InputError, match="identity 7 alone has no negatives"):
        batch_hard_triplet(torch.randn(4, 3), torch.tensor([7, 7, 7, 7]))


def test_triplet_is_computed_in_float32_under_autocast():
    features, labels = torch.randn(6, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 1, 1, 2, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = batch_hard_triplet(features, labels)
    assert torch.equal(found, batch_hard_triplet(features, labels))
