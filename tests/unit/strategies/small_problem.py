"""A net and batches of toy size, and one slow training step after another as a method's text says it."""

import copy

import torch
import torch.nn.functional as F

from dgreid.nets.small import small
from dgreid.types import Clock, DomainInfo, ReIDBatch

IDENTITIES = {"first": 4, "second": 6}
DOMAINS = [DomainInfo(name, count, 50, 2, "") for name, count in IDENTITIES.items()]
LABELS = {
    0: {"first": [2, 2, 0, 0, 2, 2], "second": [5, 5, 1, 1, 3, 3]},
    1: {"first": [1, 1, 3, 3, 0, 0], "second": [0, 0, 0, 0, 4, 4]},
}


def clock(iteration, seed=0):
    return Clock(step=iteration, epoch=0, learning_rate=1e-3, seed=seed)


def float64_net():
    torch.manual_seed(0)
    return small(width=4).double().train()


def batches(iteration):
    generator = torch.Generator().manual_seed(iteration)
    return {
        name: ReIDBatch(
            images=torch.randn(6, 3, 32, 16, dtype=torch.float64, generator=generator) * (1 + position),
            identities=torch.tensor(LABELS[iteration][name]),
            cameras=torch.zeros(6, dtype=torch.int64),
            indices=torch.arange(6),
        )
        for position, name in enumerate(IDENTITIES)
    }


def centroids():
    generator = torch.Generator().manual_seed(9)
    return {
        name: F.normalize(torch.randn(count, 32, dtype=torch.float64, generator=generator), dim=1)
        for name, count in IDENTITIES.items()
    }


def train(strategy, net, iterations=2):
    """The steps that the Lightning module takes; returns the results."""
    optimizer = torch.optim.Adam(list(strategy.parameter_groups(net)), lr=1e-3, weight_decay=5e-4)
    results = []
    for iteration in range(iterations):
        result = strategy.loss(net, batches(iteration), clock(iteration))
        optimizer.zero_grad()
        result.loss.backward()
        optimizer.step()
        strategy.after_step(net, batches(iteration), result, clock(iteration))
        results.append(result)
    return results


def memory_cross_entropy(embeddings, labels, memory, temperature):
    terms = []
    for embedding, label in zip(embeddings, labels.tolist(), strict=True):
        scores = torch.stack([embedding @ row for row in memory]) / temperature
        terms.append(scores.exp().sum().log() - scores[label])
    return sum(terms) / len(terms)


def looped_update(memory, embeddings, labels, momentum):
    for embedding, label in zip(embeddings, labels.tolist(), strict=True):
        memory[label] = momentum * memory[label] + (1 - momentum) * embedding
        memory[label] /= memory[label].norm()


class SlowMemoryTraining:
    """FB and FBF from their text: `shuffles` is None for FB, or one permutation of all images a step for FBF."""

    def __init__(self, net, temperature, momentum, shuffles):
        self.net, self.temperature, self.momentum, self.shuffles = copy.deepcopy(net), temperature, momentum, shuffles
        self.memory = {name: rows.clone() for name, rows in centroids().items()}
        trainable = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trainable, lr=1e-3, weight_decay=5e-4)

    def embed(self, images):
        neck = self.net(images).neck
        return neck / neck.square().sum(1, keepdim=True).sqrt()

    def step(self, iteration):
        current = batches(iteration)
        embedded = {name: self.embed(batch.images) for name, batch in current.items()}
        losses = {
            name: memory_cross_entropy(embedded[name], batch.identities, self.memory[name], self.temperature)
            for name, batch in current.items()
        }
        self.optimizer.zero_grad()
        (sum(losses.values()) / len(losses)).backward()
        self.optimizer.step()
        with torch.no_grad():
            if self.shuffles is None:
                for name, batch in current.items():
                    looped_update(self.memory[name], embedded[name].detach(), batch.identities, self.momentum)
            else:
                self.refresh(current, self.shuffles[iteration])
        return losses

    def refresh(self, current, shuffle):
        rows = [
            (name, image, int(label))
            for name, batch in current.items()
            for image, label in zip(batch.images, batch.identities, strict=True)
        ]
        shuffled = [rows[i] for i in shuffle]
        embedded = self.embed(torch.stack([image for _, image, _ in shuffled]))
        for (name, _, label), embedding in zip(shuffled, embedded, strict=True):
            looped_update(self.memory[name], [embedding], torch.tensor([label]), self.momentum)
