import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from dgreid.draws import SeededDraws
from dgreid.nets.reid import ReIDNet
from dgreid.nets.resnet import ResNet50Trunk
from dgreid.strategies.m3l import M3L
from dgreid.types import Clock, DomainInfo, ReIDBatch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from plain_m3l import Draws, PlainM3L, PlainNet

DOMAINS = [DomainInfo(name, 3, 50, 2, "") for name in ("first", "second", "third")]
LABELS = ([2, 2, 0, 0], [1, 1, 2, 2], [0, 0, 0, 1])
BLOCKS = (1, 1, 1, 1)
LEARNING_RATE = 3.5e-4


def clock(step):
    return Clock(step=step, epoch=0, learning_rate=LEARNING_RATE, seed=0)


def batches(step):
    """Domains of different mean and spread."""
    generator = torch.Generator().manual_seed(step)
    return {
        domain.name: ReIDBatch(
            torch.randn(4, 3, 32, 16, dtype=torch.float64, generator=generator) * (1 + position) + position,
            torch.tensor(LABELS[position]),
            torch.zeros(4, dtype=torch.int64),
            torch.arange(4),
        )
        for position, domain in enumerate(DOMAINS)
    }


def memories():
    generator = torch.Generator().manual_seed(9)
    return {
        domain.name: F.normalize(torch.randn(domain.identities, 2048, dtype=torch.float64, generator=generator), dim=1)
        for domain in DOMAINS
    }


def plain_net():
    """Scales and shifts unlike 1 and 0; small last scales of the blocks, as well behaved as trained weights."""
    torch.manual_seed(0)
    net = PlainNet(BLOCKS).double().train()
    for name, parameter in net.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.uniform_(parameter, *((0.1, 0.3) if name.endswith("bn3.weight") else (0.5, 1.0)))
    return net


def same_net_of_the_project(plain):
    trunk = ResNet50Trunk(stem_relu=False)
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        setattr(trunk, stage, getattr(trunk, stage)[:1])
    net = ReIDNet(trunk, 2048, "trainable").double().train()
    net.load_state_dict(plain.state_dict())
    return net


class SeededChoices(Draws):
    """The choices that the strategy draws in a step."""

    def __init__(self):
        self.step = 0

    def meta_test_domain(self, count):
        return SeededDraws().choice(count, clock(self.step), "meta_test_domain")

    def weight_of_samples(self):
        return SeededDraws().uniform(clock(self.step), "metabn_weight")

    def samples(self, mean, scale, rows, position):
        return mean + scale * SeededDraws().normal(rows, len(mean), clock(self.step), f"metabn/{position}").double()


def adam(parameters):
    return torch.optim.Adam(parameters, lr=LEARNING_RATE, weight_decay=5e-4)


def train_plainly(net, steps, identity_path):
    """The losses of all steps, and the memories after them."""
    draws = SeededChoices()
    method = PlainM3L(net, memories(), BLOCKS, identity_path, draws)
    optimizer = adam(net.parameters())
    losses = []
    for step in range(steps):
        draws.step = step
        current = {name: (batch.images, batch.identities) for name, batch in batches(step).items()}
        loss = method.loss(current, LEARNING_RATE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.update_memories(current)
        losses.append(float(loss.detach()))
    return losses, method.memories


def train_by_strategy(net, steps, **options):
    strategy = M3L(metabn_scale="variance", meta_test_updates_bn=True, **options)
    strategy.setup(net, DOMAINS)
    strategy.fill(memories())
    optimizer = adam(strategy.parameter_groups(net))
    losses = []
    for step in range(steps):
        result = strategy.loss(net, batches(step), clock(step))
        optimizer.zero_grad()
        result.loss.backward()
        optimizer.step()
        with torch.no_grad():
            strategy.after_step(net, batches(step), result, clock(step))
        losses.append(float(result.loss.detach()))
    return losses, {domain.name: strategy.bank(domain.name).rows for domain in DOMAINS}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("identity_path", "outer_gradient", "steps"), [(False, "second_order_only", 2), (True, "full", 1)]
)
def test_the_strategy_does_what_the_release_s_procedure_does(identity_path, outer_gradient, steps):
    plain = plain_net()
    ours = same_net_of_the_project(plain)
    expected_losses, expected_memories = train_plainly(plain, steps, identity_path)
    losses, banks = train_by_strategy(ours, steps, outer_gradient=outer_gradient)
    assert losses == pytest.approx(expected_losses, rel=1e-9)
    torch.testing.assert_close(banks, expected_memories, rtol=0, atol=1e-9)
    # Weights, and running statistics with their counts.
    torch.testing.assert_close(ours.state_dict(), plain.state_dict(), rtol=1e-8, atol=1e-9)
    gradients = {name: value.grad for name, value in ours.named_parameters()}
    expected_gradients = {name: value.grad for name, value in plain.named_parameters()}
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-6, atol=1e-6)
