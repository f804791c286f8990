"""FB, FBF and IL against the release's procedure, on a ResNet with one block a stage."""

import sys
from pathlib import Path

import pytest
import torch
from m3l_problem import batches, centroids, domains, train
from plain_nets import BLOCKS, same_net_of_the_project, with_drawn_scales
from small_problem import clock

from dgreid.draws import SeededDraws
from dgreid.strategies.fb import FB
from dgreid.strategies.fbf import FBF
from dgreid.strategies.il import IL

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from plain_il import Draws, PlainIL, PlainILNet, interleaved

SOURCES = 3
STEPS = 2
METHODS = {"fb": FB, "fbf": FBF, "il": IL}


class SeededChoices(Draws):
    """The choices that the strategies draw in a step."""

    step = 0

    def order(self, count):
        return SeededDraws().permutation(count, clock(self.step), "memory_order")

    def styles(self, low, high, rows, name):
        drawn = SeededDraws().uniform(rows, len(low), clock(self.step), f"memory_style/backbone.layer1/{name}")
        return low + drawn.double() * (high - low)


def plain_net():
    torch.manual_seed(0)
    return with_drawn_scales(PlainILNet(BLOCKS).double().train())


def train_plainly(net, mode, steps=STEPS):
    """The losses of all steps, and the memories after them."""
    draws = SeededChoices()
    method = PlainIL(net, centroids(SOURCES, 2048), mode, draws)
    groups = [{"params": [weight]} for weight in net.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(groups, lr=1e-3, weight_decay=5e-4)
    losses = []
    for draws.step in range(steps):
        current = {name: (batch.images, batch.identities) for name, batch in batches(draws.step, SOURCES).items()}
        loss = method.loss(current)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.update_memories(current)
        losses.append(float(loss.detach()))
    return losses, method.memories


@pytest.mark.parametrize("domain_graphs", ["separate", "joint"])
@pytest.mark.parametrize("mode", METHODS)
def test_the_strategy_does_what_the_release_s_procedure_does(mode, domain_graphs):
    plain = plain_net()
    ours = same_net_of_the_project(plain, "frozen")
    losses, memories = train_plainly(plain, mode)
    strategy = METHODS[mode](domain_graphs=domain_graphs)
    strategy.setup(ours, domains(SOURCES))
    strategy.fill(centroids(SOURCES, 2048))
    found = train(strategy, ours, SOURCES, STEPS)
    assert [float(result.loss.detach()) for result, _ in found] == pytest.approx(losses, rel=1e-10)
    banks = {name: strategy.bank(name).rows for name in memories}
    torch.testing.assert_close(banks, memories, rtol=0, atol=1e-9)
    # Weights, and running statistics with their counts.
    torch.testing.assert_close(ours.state_dict(), plain.state_dict(), rtol=1e-8, atol=1e-9)
    gradients = {name: value.grad for name, value in plain.named_parameters() if value.requires_grad}
    torch.testing.assert_close(found[-1][1], gradients, rtol=1e-6, atol=1e-8)


def test_the_modes_differ_in_their_memories():
    found = {mode: train_plainly(plain_net(), mode, steps=1) for mode in METHODS}
    assert found["fb"][0] == found["fbf"][0] == found["il"][0]
    for one, other in (("fb", "fbf"), ("fbf", "il")):
        assert (found[one][1]["first"] - found[other][1]["first"]).abs().max() > 1e-3


def test_styles_are_drawn_around_those_of_the_batch():
    class Middle(Draws):
        def styles(self, low, high, rows, name):
            ends[name] = low, high
            return ((low + high) / 2).expand(rows, -1)

    ends = {}
    maps = torch.randn(5, 3, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    styled = interleaved(maps, Middle())
    for channel in range(3):
        means = [float(image[channel].mean()) for image in maps]
        stds = [float(image[channel].std()) for image in maps]
        for name, values in (("mean", means), ("std", stds)):
            middle = sum(values) / 5
            spread = (sum((value - middle) ** 2 for value in values) / 4) ** 0.5
            assert [float(end[channel]) for end in ends[name]] == pytest.approx(
                [middle - 3 * spread, middle + 3 * spread]
            )
        for image in styled[:, channel]:
            assert float(image.mean()) == pytest.approx(sum(means) / 5)
            assert float(image.std()) == pytest.approx(sum(stds) / 5, rel=1e-5)  # eps
