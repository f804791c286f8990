"""M3L against the release's procedure, on a ResNet with one block a stage."""

import sys
from pathlib import Path

import pytest
import torch
from m3l_problem import batches, centroids, prepared, train
from plain_nets import BLOCKS, same_net_of_the_project, with_drawn_scales
from small_problem import clock

from dgreid.draws import SeededDraws

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from plain_m3l import Draws, PlainM3L, PlainNet

SOURCES = 3


class SeededChoices(Draws):
    """The choices that the strategy draws in a step."""

    def __init__(self):
        self.step = 0

    def meta_test_domain(self, count):
        return SeededDraws().choice(count, clock(self.step), "meta_test_domain")

    def weight_of_samples(self):
        return SeededDraws().number(clock(self.step), "metabn_weight")

    def samples(self, mean, scale, rows, position):
        return mean + scale * SeededDraws().normal(rows, len(mean), clock(self.step), f"metabn/{position}").double()


def plain_net():
    torch.manual_seed(0)
    return with_drawn_scales(PlainNet(BLOCKS).double().train())


def train_plainly(net, steps, identity_path):
    """The losses of all steps, and the memories after them."""
    draws = SeededChoices()
    method = PlainM3L(net, centroids(SOURCES, 2048), BLOCKS, identity_path, draws)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=5e-4)
    losses = []
    for draws.step in range(steps):
        current = {name: (batch.images, batch.identities) for name, batch in batches(draws.step, SOURCES).items()}
        loss = method.loss(current, clock(draws.step).learning_rate)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.update_memories(current)
        losses.append(float(loss.detach()))
    return losses, method.memories


@pytest.mark.parametrize(
    ("identity_path", "outer_gradient", "steps"), [(False, "second_order_only", 2), (True, "full", 1)]
)
def test_the_strategy_does_what_the_release_s_procedure_does(identity_path, outer_gradient, steps):
    plain = plain_net()
    ours = same_net_of_the_project(plain, "trainable")
    losses, memories = train_plainly(plain, steps, identity_path)
    strategy, _ = prepared(
        SOURCES, ours, outer_gradient=outer_gradient, metabn_scale="variance", meta_test_updates_bn=True
    )
    found = train(strategy, ours, SOURCES, steps)
    assert [float(result.loss.detach()) for result, _ in found] == pytest.approx(losses, rel=1e-9)
    banks = {name: strategy.bank(name).rows for name in memories}
    torch.testing.assert_close(banks, memories, rtol=0, atol=1e-9)
    # Weights, and running statistics with their counts.
    torch.testing.assert_close(ours.state_dict(), plain.state_dict(), rtol=1e-8, atol=1e-9)
    gradients = {name: value.grad for name, value in plain.named_parameters()}
    torch.testing.assert_close(found[-1][1], gradients, rtol=1e-6, atol=1e-6)
