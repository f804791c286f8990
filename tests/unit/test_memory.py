import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.memory import MemoryBank, memory_loss, occurrences, updated_rows

FIXTURES = Path(__file__).parents[1] / "fixtures"


def looped_update(memory, features, labels, momentum):
    """The definition: one image at a time."""
    memory = memory.clone()
    for feature, label in zip(features, labels.tolist(), strict=True):
        memory[label] = momentum * memory[label] + (1 - momentum) * feature
        memory[label] = memory[label] / memory[label].norm()
    return memory


def updated_memory(memory, features, labels, momentum):
    return memory.index_copy(0, *updated_rows(memory, features, labels, momentum))


def unit_rows(count, dimension, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, dimension, dtype=dtype, generator=generator), dim=1)


def batches_of_labels():
    grouped = st.lists(st.integers(0, 7), min_size=1, max_size=6).map(lambda ids: [i for i in ids for _ in range(4)])
    return st.one_of(
        st.lists(st.integers(0, 7), min_size=1, max_size=40),
        grouped,
        grouped.flatmap(st.permutations),
        st.integers(1, 30).map(lambda count: [3] * count),
    )


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    labels=batches_of_labels(),
    dimension=st.sampled_from([1, 2, 7, 16, 33, 256, 2048]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    momentum=st.sampled_from([0.0, 0.2, 0.9]),
)
def test_update_has_the_bits_of_the_loop(labels, dimension, dtype, momentum):
    memory, features = unit_rows(8, dimension, dtype), unit_rows(len(labels), dimension, dtype, seed=1)
    labels = torch.tensor(labels)
    before = memory.clone()
    found = updated_memory(memory, features, labels, momentum)
    assert torch.equal(found, looped_update(memory, features, labels, momentum))
    assert torch.equal(memory, before)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(labels=batches_of_labels())
def test_rounds_are_the_occurrences_in_order(labels):
    distinct, rounds = occurrences(torch.tensor(labels))
    assert sorted(distinct.tolist()) == sorted(set(labels))
    for position, label in enumerate(distinct.tolist()):
        met = [int(r[position]) for r in rounds if position < len(r)]
        assert met == [i for i, other in enumerate(labels) if other == label]
    assert sum(len(r) for r in rounds) == len(labels)


def test_the_order_within_an_identity_counts():
    memory, features = unit_rows(2, 8), unit_rows(3, 8, seed=1)
    labels = torch.tensor([1, 1, 1])
    forward = updated_memory(memory, features, labels, 0.2)
    backward = updated_memory(memory, features.flip(0), labels, 0.2)
    assert (forward - backward).abs().max() > 0.1
    assert torch.equal(forward[0], memory[0])


def test_recorded_il_memory():
    with np.load(FIXTURES / "il" / "memory.npz") as file:
        recorded = {name: torch.from_numpy(file[name]) for name in file.files}
    bank = MemoryBank(*recorded["features0"].shape).double()
    bank.fill(recorded["features0"])
    x = recorded["x"].requires_grad_()
    loss = bank.loss(x, recorded["y"], temperature=0.05)
    loss.backward()
    assert torch.allclose(loss, recorded["loss"], rtol=1e-13)
    assert torch.allclose(x.grad, recorded["grad_x"], rtol=0, atol=1e-14)
    bank.update(x.detach(), recorded["y"], momentum=0.2)
    assert torch.allclose(bank.rows, recorded["features1"], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    "case", json.loads((FIXTURES / "m3l" / "memory.json").read_text()), ids=lambda case: case["name"]
)
def test_recorded_m3l_memory(case):
    draws = np.random.default_rng(zlib.crc32(f"memory_case/{case['name']}".encode()))
    labels = torch.tensor(case["labels"])
    memory, x = (
        F.normalize(torch.from_numpy(draws.standard_normal((count, case["dim"]))), dim=1)
        for count in (case["n"], len(labels))
    )
    x.requires_grad_()
    loss = memory_loss(memory, x, labels, case["temp"])
    (gradient,) = torch.autograd.grad(loss, x)
    assert loss.item() == pytest.approx(case["loss"], rel=1e-13)
    assert torch.allclose(gradient, torch.tensor(case["grad"], dtype=torch.float64), rtol=0, atol=1e-14)
    found = updated_memory(memory, x.detach(), labels, case["momentum"])
    assert torch.allclose(found, torch.tensor(case["features_after"], dtype=torch.float64), rtol=0, atol=1e-15)


def test_loss_is_the_cross_entropy_of_scaled_cosines_and_moves_features_only():
    memory, features = unit_rows(5, 6).requires_grad_(), unit_rows(4, 6, seed=1).requires_grad_()
    labels, temperature = torch.tensor([0, 4, 4, 2]), 0.07
    loss = memory_loss(memory, features, labels, temperature)
    expected, expected_gradient = 0.0, torch.zeros(4, 6, dtype=torch.float64)
    for row, label in enumerate(labels.tolist()):
        exponentials = torch.stack([((features[row] @ m) / temperature).exp() for m in memory]).detach()
        softmax = exponentials / exponentials.sum()
        expected -= float(softmax[label].log()) / 4
        softmax[label] -= 1
        expected_gradient[row] = (softmax @ memory.detach()) / (4 * temperature)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-13)
    assert torch.allclose(features.grad, expected_gradient, rtol=0, atol=1e-14)
    assert memory.grad is None


def test_loss_is_twice_differentiable():
    memory, labels = unit_rows(5, 6), torch.tensor([0, 4, 4])
    features = unit_rows(3, 6, seed=1).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: memory_loss(memory, x, labels, 0.5), features)


def test_scores_keep_the_memory_s_precision_under_autocast():
    bank = MemoryBank(5, 64)
    bank.fill(unit_rows(5, 64, torch.float32))
    features = unit_rows(3, 64, torch.float32, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = bank.scores(features)
    assert torch.equal(found, bank.scores(features))
    assert bank.scores(features.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("label", [-100, -1, 5])
def test_labels_outside_the_memory_are_refused(label):
    bank = MemoryBank(5, 4)
    features, labels = unit_rows(2, 4, torch.float32), torch.tensor([0, label])
    with pytest.raises(InputError, match=rf"label {label} is outside 0\.\.4"):
        bank.loss(features, labels, 0.05)
    with pytest.raises(InputError, match=rf"label {label} is outside 0\.\.4"):
        bank.update(features, labels, 0.2)


def test_fill_brings_rows_to_unit_length_and_keeps_them_in_the_checkpoint():
    bank, restored = MemoryBank(3, 4), MemoryBank(3, 4)
    centroids = torch.tensor([[3.0, 4, 0, 0], [0, 0, 2, 0], [1, 1, 1, 1]])
    bank.fill(centroids)
    assert torch.allclose(bank.rows, torch.tensor([[0.6, 0.8, 0, 0], [0, 0, 1, 0], [0.5, 0.5, 0.5, 0.5]]))
    restored.load_state_dict(bank.state_dict())
    assert torch.equal(restored.rows, bank.rows)


def test_centroids_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"shape \(2, 4\) do not fit a memory of shape \(3, 4\)"):
        MemoryBank(3, 4).fill(torch.ones(2, 4))


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_a_centroid_without_direction_is_refused(bad):
    centroids = torch.ones(3, 4)
    centroids[1] = bad
    with pytest.raises(InputError, match="centroid of identity 1 is zero or not finite"):
        MemoryBank(3, 4).fill(centroids)
