"""A net and batches of toy size, and one slow training step after another as a method's text says it."""

import copy

import torch
import torch.nn.functional as F

from dgreid.draws import SeededDraws
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


class SlowFB:
    """FB from its text."""

    def __init__(self, net, temperature, momentum):
        self.net, self.temperature, self.momentum = copy.deepcopy(net), temperature, momentum
        self.memory = {name: rows.clone() for name, rows in centroids().items()}
        trainable = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trainable, lr=1e-3, weight_decay=5e-4)

    def embed(self, images, restyle=lambda maps: maps):
        trunk = self.net.backbone
        maps = restyle(trunk.layer1(trunk.relu(trunk.bn1(trunk.conv1(images)))))
        maps = trunk.layer4(trunk.layer3(trunk.layer2(maps)))
        neck = self.net.neck(maps.mean((2, 3)))
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
            self.refresh(iteration, current, embedded)
        return losses

    def refresh(self, iteration, current, embedded):
        for name, batch in current.items():
            looped_update(self.memory[name], embedded[name].detach(), batch.identities, self.momentum)


class SlowFBF(SlowFB):
    """FBF from its text."""

    def embed_mixed(self, images, iteration):
        return self.embed(images)

    def refresh(self, iteration, current, embedded):
        rows = [
            (name, image, int(label))
            for name, batch in current.items()
            for image, label in zip(batch.images, batch.identities, strict=True)
        ]
        order = SeededDraws().permutation(len(rows), clock(iteration), "memory_order")
        shuffled = [rows[i] for i in order.tolist()]
        embedded = self.embed_mixed(torch.stack([image for _, image, _ in shuffled]), iteration)
        for (name, _, label), embedding in zip(shuffled, embedded, strict=True):
            looped_update(self.memory[name], [embedding], torch.tensor([label]), self.momentum)


class SlowIL(SlowFBF):
    """IL from its text, one channel of one image at a time."""

    def embed_mixed(self, images, iteration):
        return self.embed(images, lambda maps: self.interleaved(maps, iteration))

    def interleaved(self, maps, iteration):
        rows, channels = maps.shape[:2]
        shift, scale = (
            SeededDraws().uniform(rows, channels, clock(iteration), f"memory_style/backbone.layer1/{name}").double()
            for name in ("mean", "std")
        )
        result = torch.empty_like(maps)
        for c in range(channels):
            means = torch.stack([one.mean() for one in maps[:, c]])
            variances = torch.stack([one.var() for one in maps[:, c]])
            deviations = variances.sqrt()
            for b in range(rows):
                mean = means.mean() + (2 * shift[b, c] - 1) * 3 * means.std()
                deviation = deviations.mean() + (2 * scale[b, c] - 1) * 3 * deviations.std()
                result[b, c] = (maps[b, c] - means[b]) / (variances[b] + 1e-6).sqrt() * deviation + mean
        return result
