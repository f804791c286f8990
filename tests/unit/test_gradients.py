"""Gradients that are deposited by a loss's backward, and sums of several losses' gradients."""

import pytest
import torch

from dgreid.gradients import SummedGradients, grad, with_gradients


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def deposited():
    """A loss of 3 with a graph of its own, leaves, and what their gradients shall be."""
    leaves = [normal(2, 3).requires_grad_(), normal(4).float().requires_grad_()]
    gradients = [normal(2, 3, seed=1), normal(4, seed=2).float()]
    value = (leaves[0] * 0).sum() + 3
    return with_gradients(value, leaves, gradients), leaves, gradients


def test_backward_deposits_the_gradients_and_nothing_of_the_value_s_graph():
    loss, leaves, gradients = deposited()
    assert loss.item() == 3
    assert loss.dtype == torch.float64
    loss.backward()
    for leaf, gradient in zip(leaves, gradients, strict=True):
        assert torch.equal(leaf.grad, gradient)
        assert leaf.grad is not gradient


def test_scaling_the_loss_scales_what_is_deposited():
    loss, leaves, gradients = deposited()
    (loss * 1024).backward()
    for leaf, gradient in zip(leaves, gradients, strict=True):
        assert torch.equal(leaf.grad, gradient * 1024)


def test_deposits_add_up_and_can_be_clipped():
    loss, leaves, gradients = deposited()
    leaves[0].grad = torch.ones(2, 3, dtype=torch.float64)
    loss.backward()
    assert torch.equal(leaves[0].grad, 1 + gradients[0])
    norm = torch.cat([leaf.grad.double().flatten() for leaf in leaves]).norm()
    torch.nn.utils.clip_grad_norm_(leaves, float(norm) / 2)
    assert torch.allclose(leaves[1].grad, gradients[1] / 2, rtol=1e-5)


def test_hooks_of_a_leaf_see_its_deposit():
    """As gradient averaging over processes does."""
    loss, leaves, gradients = deposited()
    seen = []
    leaves[0].register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.clone()))
    loss.backward()
    assert len(seen) == 1
    assert torch.equal(seen[0], gradients[0])


def test_gradients_are_deposited_once():
    parameter = torch.zeros(2, requires_grad=True)
    loss = with_gradients(torch.tensor(1.0), [parameter], [torch.ones(2)])
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="can be deposited once"):
        loss.backward()


def test_the_sum_of_gradients_is_the_gradient_of_the_weighted_sum():
    shared, own, frozen = (normal(3, seed=k).requires_grad_() for k in range(3))
    losses = [lambda: (shared * own).sum().exp(), lambda: shared.square().sum(), lambda: shared.exp().sum()]
    sums = SummedGradients([shared, own, frozen])
    values = [sums.take(loss(), 0.25) for loss in losses]
    assert not any(value.requires_grad for value in values)
    sums.deposited(torch.stack(values).mean()).backward()
    expected = torch.autograd.grad(0.25 * sum(loss() for loss in losses), [shared, own])
    assert torch.allclose(shared.grad, expected[0], rtol=1e-14)
    assert torch.allclose(own.grad, expected[1], rtol=1e-14)
    assert frozen.grad is None


def test_leaves_with_one_gradient_in_common_are_added_up_apart():
    """Autograd hands the same tensor to both; adding to one in place would add to the other."""
    first, second = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    sums = SummedGradients([first, second])
    for _ in range(2):
        sums.take((first + second).sum(), 1.0)
    assert [total.tolist() for total in sums.sums] == [[2.0, 2.0], [2.0, 2.0]]


def test_backward_of_float32_scores_keeps_its_digits_under_autocast():
    rows = normal(8, 16).float().requires_grad_()
    memory = normal(5, 16, seed=1).float()

    def scores():
        with torch.autocast("cpu", enabled=False):
            return rows @ memory.t()

    (expected,) = torch.autograd.grad(scores().logsumexp(1).sum(), [rows])
    with torch.autocast("cpu", torch.bfloat16):
        (rounded,) = torch.autograd.grad(scores().logsumexp(1).sum(), [rows])
        (found,) = grad(scores().logsumexp(1).sum(), [rows])
    assert torch.equal(found, expected)
    assert not torch.equal(rounded, expected)
