"""A problem for M3L of toy size, with any number of sources, and the steps that the Lightning module takes."""

import torch
import torch.nn.functional as F
from small_problem import clock

from dgreid.draws import SeededDraws
from dgreid.nets.small import small
from dgreid.strategies.m3l import M3L
from dgreid.types import DomainInfo, ReIDBatch

METHODS = ["graph", "hvp"]
IDENTITIES = {"first": 4, "second": 6, "third": 5, "fourth": 3}
LABELS = {
    0: {"first": [2, 2, 0, 0, 2, 2], "second": [5, 5, 1, 1, 3], "third": [0, 0, 4, 4, 0, 4], "fourth": [2, 1, 1, 2]},
    1: {"first": [1, 1, 3, 3, 0, 0], "second": [0, 0, 0, 4, 4], "third": [3, 3, 2, 2, 1, 1], "fourth": [0, 0, 1, 1]},
}


def domains(sources):
    return [DomainInfo(name, count, 50, 2, "") for name, count in list(IDENTITIES.items())[:sources]]


def batches(iteration, sources, dtype=torch.float64):
    """Domains of different spread, and of batches of different sizes."""
    generator = torch.Generator().manual_seed(iteration)
    found = {}
    for position, domain in enumerate(domains(sources)):
        labels = torch.tensor(LABELS[iteration][domain.name])
        images = torch.randn(len(labels), 3, 32, 16, dtype=torch.float64, generator=generator) * (1 + position)
        found[domain.name] = ReIDBatch(images.to(dtype), labels, torch.zeros_like(labels), torch.arange(len(labels)))
    return found


def centroids(sources, width):
    generator = torch.Generator().manual_seed(9)
    rows = {
        name: torch.randn(count, width, dtype=torch.float64, generator=generator) for name, count in IDENTITIES.items()
    }
    return {domain.name: F.normalize(rows[domain.name], dim=1) for domain in domains(sources)}


class Draws(SeededDraws):
    """Holds out a given domain and notes what it is asked."""

    def __init__(self, held_out):
        self.held_out, self.asked = held_out, []

    def choice(self, count, clock, name):
        self.asked.append((name, count))
        return self.held_out

    def number(self, clock, name):
        self.asked.append((name,))
        return super().number(clock, name)

    def normal(self, rows, width, clock, name):
        self.asked.append((name, rows, width))
        return super().normal(rows, width, clock, name)


def net_of_four_channels(neck_bias="trainable"):
    torch.manual_seed(0)
    return small(width=4, neck_bias=neck_bias).double().train()


def prepared(sources, net=None, **options):
    net = net or net_of_four_channels()
    strategy = M3L(**options)
    strategy.setup(net, domains(sources))
    strategy.fill(centroids(sources, net.feature_dimension))
    return strategy, net


def train(strategy, net, sources, iterations=2):
    """The steps that the Lightning module takes; returns the result and the gradients of each."""
    optimizer = torch.optim.Adam(list(strategy.parameter_groups(net)), lr=1e-3, weight_decay=5e-4)
    found = []
    for iteration in range(iterations):
        current, now = batches(iteration, sources), clock(iteration)
        result = strategy.loss(net, current, now)
        optimizer.zero_grad()
        result.loss.backward()
        gradients = {name: value.grad.clone() for name, value in net.named_parameters() if value.grad is not None}
        optimizer.step()
        with torch.no_grad():
            strategy.after_step(net, current, result, now)
        found.append((result, gradients))
    return found


def gradient_of(strategy, net, sources, dtype=torch.float64):
    """Of the first step, as one vector."""
    result = strategy.loss(net, batches(0, sources, dtype), clock(0))
    net.zero_grad()
    result.loss.backward()
    return torch.cat([value.grad.flatten() for value in net.parameters() if value.grad is not None])
