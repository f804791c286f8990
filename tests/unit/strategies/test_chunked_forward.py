"""Batch statistics of parts of a batch: what DataParallel computes on as many devices."""

import copy

import pytest
import small_problem
import torch

from dgreid.batch_parts import BatchParts
from dgreid.draws import SeededDraws, StepDraws
from dgreid.errors import InputError
from dgreid.strategies.chunked_forward import chunked_features
from dgreid.strategies.fb import FB
from dgreid.strategies.fbf import FBF
from dgreid.strategies.il import IL
from dgreid.strategies.m3l import M3L
from dgreid.strategies.softmax_triplet import SoftmaxTriplet
from dgreid.style import Uniform, styled


def step_draws(chunks):
    return StepDraws(SeededDraws(), small_problem.clock(0), "test", BatchParts(chunks))


def replicas(net, images, chunks, style=None):
    """Copies of the net, one for each part of the images; the first one's running statistics are kept."""
    embedded = []
    for position, part in enumerate(images.chunk(chunks)):
        replica = net if position == 0 else copy.deepcopy(net)
        with styled(replica, style, step_draws(chunks).at(position)):
            embedded.append(replica(part).embedding)
    return torch.cat(embedded)


@pytest.mark.parametrize("style", [None, Uniform()])
@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_each_part_is_a_batch_of_its_own_and_running_statistics_follow_the_first(chunks, style):
    images = small_problem.batches(0)["second"].images
    ours, theirs = small_problem.float64_net(), small_problem.float64_net()
    found = chunked_features(ours, images, BatchParts(chunks), style, step_draws(chunks)).embedding
    expected = replicas(theirs, images, chunks, style)
    assert torch.equal(found, expected)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    assert int(ours.neck.num_batches_tracked) == 1


def test_gradients_of_all_parts_reach_the_weights():
    images, labels = small_problem.batches(0)["first"].images, small_problem.batches(0)["first"].identities
    net = small_problem.float64_net()
    expected_net = copy.deepcopy(net)
    strategy = FB(statistics_chunks=3)
    strategy.setup(net, small_problem.DOMAINS)
    strategy.fill(small_problem.centroids())
    batches = {"first": small_problem.batches(0)["first"]}
    strategy.loss(net, batches, small_problem.clock(0)).loss.backward()
    embedded = torch.cat([expected_net(part).embedding for part in images.chunk(3)])
    small_problem.memory_cross_entropy(embedded, labels, small_problem.centroids()["first"], 0.05).backward()
    for (name, found), expected in zip(net.named_parameters(), expected_net.parameters(), strict=True):
        if expected.grad is not None:
            assert torch.allclose(found.grad, expected.grad, rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize(("method", "sizes"), [(FB, [3] * 4), (FBF, [3] * 4 + [6] * 2), (IL, [3] * 4 + [6] * 2)])
def test_every_forward_of_a_step_is_made_in_parts(method, sizes):
    strategy, net = method(statistics_chunks=2), small_problem.float64_net()
    strategy.setup(net, small_problem.DOMAINS)
    strategy.fill(small_problem.centroids())
    seen = []
    net.register_forward_hook(lambda module, inputs, features: seen.append(len(inputs[0])))
    small_problem.train(strategy, net, iterations=1)
    assert seen == sizes
    assert int(net.neck.num_batches_tracked) == len(sizes) // 2


def test_parts_of_the_mixed_forward_are_cut_after_the_shuffle():
    strategy, net = FBF(statistics_chunks=2), small_problem.float64_net()
    strategy.setup(net, small_problem.DOMAINS)
    strategy.fill(small_problem.centroids())
    seen = []
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    small_problem.train(strategy, net, iterations=1)
    images = torch.cat([batch.images for batch in small_problem.batches(0).values()])
    order = SeededDraws().permutation(12, small_problem.clock(0), "memory_order")
    assert torch.equal(torch.cat(seen[4:]), images[order])


@pytest.mark.parametrize("chunks", [4, 6, 7])
def test_parts_that_are_unequal_or_of_one_image_are_refused(chunks):
    with pytest.raises(InputError, match=f"statistics_chunks={chunks} of a forward of 6 images"):
        chunked_features(small_problem.float64_net(), small_problem.batches(0)["first"].images, BatchParts(chunks))


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", None, True])
@pytest.mark.parametrize("method", [FB, M3L, SoftmaxTriplet])
def test_a_number_of_parts_that_is_none_is_refused(method, value):
    with pytest.raises(InputError, match=f"statistics_chunks={value}: a whole number of at least 1"):
        method(statistics_chunks=value)
