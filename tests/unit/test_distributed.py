"""With one process each function is the identity; with several, it is what one process computes on all rows."""

from __future__ import annotations

import pytest
import torch
from process_groups import on_processes

from dgreid import distributed
from dgreid.batch_parts import BatchParts, normalised, shared_moments
from dgreid.distributed import (
    follow_first_rank,
    gather_rows,
    gather_with_gradient,
    mean_of_each,
    mean_over_ranks,
    rank_and_world_size,
    rows_of_this_rank,
    sum_over_ranks,
)
from dgreid.run.processes import this_rank


def test_one_process():
    rows = torch.randn(3, 2, requires_grad=True)
    assert rank_and_world_size() == (0, 1)
    for function in (gather_rows, gather_with_gradient, sum_over_ranks, mean_over_ranks, rows_of_this_rank):
        assert function(rows) is rows
    assert mean_of_each([rows])[0] is rows
    before = rows.detach().clone()
    follow_first_rank([rows])
    assert torch.equal(rows, before)


def exchanged():
    rank, world_size = rank_and_world_size()
    rows = torch.arange(4.0).reshape(2, 2).t() + 10 * rank  # not contiguous
    total = sum_over_ranks(rows)
    one, other = torch.full((2,), rank + 1.0), torch.tensor([rank])
    follow_first_rank([one, other])
    return (rank, world_size), gather_rows(rows).tolist(), total.tolist(), rows.tolist(), one.tolist(), other.tolist()


def test_ranks_are_known_everywhere():
    """Who asks before the group has met is told the same: else both processes would take a run's folder."""
    assert on_processes(3, this_rank) == [0, 1, 2]


def test_two_processes():
    for rank, (place, gathered, total, own, one, other) in enumerate(on_processes(2, exchanged)):
        assert place == (rank, 2)
        assert gathered == [[0, 2], [1, 3], [10, 12], [11, 13]]
        assert total == [[10, 14], [12, 16]]
        assert own == gathered[2 * rank : 2 * rank + 2]
        assert one == [1.0, 1.0]
        assert other == [0]


ROWS, WIDTH = 6, 3


def everything():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(ROWS, WIDTH, dtype=torch.float64, generator=generator)


def nonlinear(rows, own_rows, gather, mean):
    """A loss of this process's rows, in which all rows meet; not of low order in any."""
    return (gather(rows.square()).sin().sum(dim=0) * own_rows.sin()).sum() * mean(own_rows.cos().sum())


def derivatives(loss, rows):
    """First and second derivatives by the rows; ranks' parts are those of the sum of all losses."""
    (first,) = torch.autograd.grad(loss, rows, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), rows, create_graph=True)
    (third,) = torch.autograd.grad(second.sin().sum(), rows)
    return [one.detach().numpy() for one in (first, second, third)]


def on_rank():
    rows = rows_of_this_rank(everything()).requires_grad_()
    return derivatives(nonlinear(rows, rows, gather_with_gradient, mean_over_ranks), rows)


def of_all(world_size):
    """The sum of all processes' losses, on one."""
    rows = everything().requires_grad_()
    parts = rows.chunk(world_size)
    mean = sum(part.cos().sum() for part in parts) / world_size
    return derivatives(sum(nonlinear(rows, part, lambda all_of: all_of, lambda _: mean) for part in parts), rows)


@pytest.mark.parametrize("world_size", [2, 3])
def test_derivatives_of_any_order_are_those_of_the_sum_of_all_losses(world_size):
    found = [
        torch.cat([torch.from_numpy(one) for one in order])
        for order in zip(*on_processes(world_size, on_rank), strict=True)
    ]
    for own, expected in zip(found, of_all(world_size), strict=True):
        assert torch.allclose(own, torch.from_numpy(expected), rtol=1e-12)


def averaged():
    values = [everything()[: 2 + k, :k].mul(rank_and_world_size()[0]).requires_grad_() for k in (1, 2)]
    means = mean_of_each(values)
    gradients = torch.autograd.grad(sum(one.square().sum() for one in means), values)
    return [one.detach().numpy() for one in (*means, *gradients)]


def test_tensors_sent_together_are_averaged_each():
    for first, second, *gradients in on_processes(2, averaged):
        expected = [everything()[:3, :1] / 2, everything()[:4, :2] / 2]
        for found, wanted in zip((first, second), expected, strict=True):
            assert torch.allclose(torch.from_numpy(found), wanted)
        for found, wanted in zip(gradients, expected, strict=True):  # both losses, each half of its rows: 2 * 2 / 2
            assert torch.allclose(torch.from_numpy(found), 2 * wanted)


def moments_of_this_rank():
    own = rows_of_this_rank(everything()).reshape(-1, WIDTH)
    moments = shared_moments(own)
    output = normalised(own, moments, torch.tensor([1.0, 2.0, 3.0]).double(), None, 1e-5)
    return [one.numpy() for one in (*moments, output)]


def test_shared_moments_are_those_of_all_rows():
    variance, mean = torch.var_mean(everything(), dim=0, correction=0)
    expected = (everything() - mean) / (variance + 1e-5).sqrt() * torch.tensor([1.0, 2.0, 3.0])
    results = on_processes(3, moments_of_this_rank)
    for found_mean, found_variance, _ in results:
        assert torch.allclose(torch.from_numpy(found_mean), mean, rtol=1e-14)
        assert torch.allclose(torch.from_numpy(found_variance), variance, rtol=1e-14)
    assert torch.allclose(torch.cat([torch.from_numpy(one) for *_, one in results]), expected, rtol=1e-13)


def test_parts(monkeypatch):
    rows = torch.arange(6)
    assert [part.tolist() for part in BatchParts(3).of(rows)] == [[0, 1], [2, 3], [4, 5]]
    assert BatchParts(shared=True).of(rows)[0] is rows
    monkeypatch.setattr(distributed, "rank_and_world_size", lambda: (1, 3))
    assert rows_of_this_rank(rows).tolist() == [2, 3]
