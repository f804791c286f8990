"""Batch normalisation over processes is torch's on all rows: outputs, running statistics, two orders of derivatives."""

from __future__ import annotations

import copy

import pytest
import torch
from process_groups import on_processes
from torch import nn

from dgreid.distributed import mean_of_each, rows_of_this_rank
from dgreid.errors import InputError
from dgreid.nets.batch_norm import BatchNorm2d
from dgreid.nets.shared_batch_norm import SharedBatchNorm1d, SharedBatchNorm2d, share_batch_norm

LAYERS = {
    "1d": lambda: nn.BatchNorm1d(3),
    "2d": lambda: nn.BatchNorm2d(3),
    "fast 2d": lambda: BatchNorm2d(3),
    "cumulative": lambda: nn.BatchNorm1d(3, momentum=None),
    "no affine": lambda: nn.BatchNorm1d(3, affine=False),
    "no statistics": lambda: nn.BatchNorm2d(3, track_running_stats=False),
}


def layer_of(kind):
    layer = LAYERS[kind]().double()
    for k, value in enumerate(layer.parameters()):
        nn.init.normal_(value, mean=1, generator=torch.Generator().manual_seed(k))
    return layer


def images_of(kind):
    shape = (6, 3, 4, 2) if "2d" in kind or kind == "no statistics" else (6, 3)
    return 3 + torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def observed(layer, x, average):
    """Twice through the layer; then what a step of second order takes from it."""
    x = x.requires_grad_()
    layer(x)
    output = layer(x)
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad(output.sin().sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(one.square().sum() for one in gradients[:1]), leaves, allow_unused=True)
    rows = [one.detach().numpy() for one in (output, gradients[0], second[0])]
    of_weights = [one for one in (*gradients[1:], *second[1:]) if one is not None]
    whole = [one.detach().numpy() for one in (*average(of_weights), *layer.buffers())]
    return rows, whole


def on_rank(kind):
    layer = layer_of(kind)
    share_batch_norm(layer)
    return observed(layer, rows_of_this_rank(images_of(kind)), mean_of_each)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("kind", LAYERS)
def test_it_is_that_of_all_rows(kind, processes):
    expected_rows, expected_whole = observed(layer_of(kind), images_of(kind), list)
    ranks = on_processes(processes, on_rank, kind)
    for k, expected in enumerate(expected_rows):
        found = torch.cat([torch.from_numpy(rows[k]) for rows, _ in ranks])
        assert torch.allclose(found, torch.from_numpy(expected), rtol=1e-10, atol=1e-12), k
    for k, expected in enumerate(expected_whole):
        # Gradients are averaged over processes, whose losses are parts of the one sum here.
        share = processes if k < len(expected_whole) - len(list(layer_of(kind).buffers())) else 1
        found = torch.as_tensor(ranks[0][1][k]) * share
        assert torch.allclose(found.double(), torch.as_tensor(expected).double(), rtol=1e-10, atol=1e-12), k


def test_alone_and_in_evaluation_it_is_the_layer_it_was():
    for kind in LAYERS:
        layer = layer_of(kind)
        shared = copy.deepcopy(layer)
        share_batch_norm(shared)
        assert type(shared) in (SharedBatchNorm1d, SharedBatchNorm2d)
        for one in (layer, shared):
            one(images_of(kind))
        assert torch.equal(layer(images_of(kind)), shared(images_of(kind)))
        assert torch.equal(layer.eval()(images_of(kind)), shared.eval()(images_of(kind)))
        assert layer.state_dict().keys() == shared.state_dict().keys()
        share_batch_norm(shared)  # again: nothing


def test_other_kinds_are_refused_by_name():
    class OwnBatchNorm(nn.BatchNorm2d):
        pass

    net = nn.Sequential(nn.BatchNorm2d(2), OwnBatchNorm(2))
    with pytest.raises(InputError, match=r"layer 1 of the net is a OwnBatchNorm.*batch_statistics=local"):
        share_batch_norm(net)
