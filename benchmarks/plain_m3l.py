"""M3L's training step as its release does it, on torch and torchvision alone: the yardstick of bench_train.py.

Written from the formulas, without the project's code, so it is an oracle for tests too. Each step builds a network from
scratch, puts copies of the weights into it, replaces them by what the inner step makes of them, and sends one backward
through the whole graph. Only reading ImageNet weights from disk, which the release repeats in each step, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal
from torchvision.models.resnet import Bottleneck, ResNet

Batches = Mapping[str, tuple[Tensor, Tensor]]  # by domain, images (B, 3, H, W) and labels (B,)

TEMPERATURE, MOMENTUM, MARGIN, WEIGHT_DECAY = 0.05, 0.2, 0.3, 5e-4
WIDTH = 2048


class PlainNet(nn.Module):
    """ResNet-50 without ReLU in the stem, with last stride 1 and a batch-normalisation neck.

    Args:
        blocks: in each of the four stages.
    """

    def __init__(self, blocks: Sequence[int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.backbone = ResNet(Bottleneck, list(blocks))
        self.backbone.relu = nn.Identity()
        self.backbone.fc = nn.Identity()
        first = self.backbone.layer4[0]
        first.conv2.stride = first.downsample[0].stride = (1, 1)
        self.neck = nn.BatchNorm1d(WIDTH)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) images to (B, 2048) pooled features and unit embeddings."""
        pooled = self.backbone(images)
        return pooled, F.normalize(self.neck(pooled), dim=1)


class Draws:
    """The random choices of a step; tests replace them."""

    def meta_test_domain(self, count: int) -> int:
        """One of 0..count-1."""
        return int(np.random.choice(count))

    def weight_of_samples(self) -> float:
        """MetaBN's share of samples, uniform in 0..1."""
        return float(np.random.beta(1.0, 1.0))

    def samples(self, mean: Tensor, scale: Tensor, rows: int, position: int) -> Tensor:
        """(rows, D) normal samples of the meta-train domain at a position, from its (D,) mean and scale."""
        return Normal(mean, scale, validate_args=False).sample((rows,))


class PlainM3L:
    """The release's procedure. A step is: ``loss``, backward, the optimizer's step, ``update_memories``.

    Args:
        net: in training mode.
        memories: by domain (identities, 2048) unit rows, changed in place.
        blocks: those of the net.
        identity_path: ``False``, as in the release: the inner step starts from detached copies of the weights.
            ``True``: from the weights themselves, so that the whole derivative arrives.
        draws: random choices.
    """

    def __init__(
        self,
        net: PlainNet,
        memories: dict[str, Tensor],
        blocks: Sequence[int] = (3, 4, 6, 3),
        identity_path: bool = False,
        draws: Draws | None = None,
    ) -> None:
        self.net, self.memories, self.blocks, self.identity_path = net, memories, blocks, identity_path
        self.draws = draws or Draws()

    def loss(self, batches: Batches, learning_rate: float) -> Tensor:
        """Meta-train plus meta-test loss, with the graph of both and of the inner step between them."""
        names = list(batches)
        meta_test = names.pop(self.draws.meta_test_domain(len(names)))
        statistics, parts = [], []
        for name in names:
            images, labels = batches[name]
            pooled, embeddings = self.net(images)
            parts.append(hardest_triplet(pooled, labels) + self.memory_loss(name, embeddings, labels))
            statistics.append((pooled.detach().mean(0), pooled.detach().var(0, correction=0)))
        train = torch.stack(parts).sum() / len(parts)

        gradients = torch.autograd.grad(train, list(self.net.parameters()), create_graph=True)
        inner, copies = self.rebuilt_net()
        for (name, start), gradient in zip(copies.items(), gradients, strict=True):
            put(inner, name, fresh_adam(start, gradient, learning_rate))

        images, labels = batches[meta_test]
        pooled = inner.backbone(images)
        outputs = self.metabn(pooled, inner.neck, statistics)
        memory = [self.memory_loss(meta_test, F.normalize(output, dim=1), labels) for output in outputs]
        return train + torch.stack(memory).mean() + hardest_triplet(pooled, labels)

    def memory_loss(self, name: str, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of the scores against a domain's memory, at the temperature."""
        return F.cross_entropy(embeddings @ self.memories[name].t() / TEMPERATURE, labels)

    def rebuilt_net(self) -> tuple[PlainNet, dict[str, Tensor]]:
        """A new net that holds copies of the weights and shares the running statistics; and the copies, by name."""
        fresh = PlainNet(self.blocks).train()
        copies: dict[str, Tensor] = {}
        for name, weight in self.net.named_parameters():
            copies[name] = weight if self.identity_path else weight.detach().clone().requires_grad_()
            put(fresh, name, copies[name])
        for name, buffer in self.net.named_buffers():
            put(fresh, name, buffer)
        return fresh, copies

    def metabn(self, pooled: Tensor, neck: nn.BatchNorm1d, statistics: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """One output for each meta-train domain; the variance stands where the standard deviation should."""
        weight = self.draws.weight_of_samples()
        outputs = []
        for position, (mean, variance) in enumerate(statistics):
            samples = self.draws.samples(mean, variance, len(pooled), position)
            mixed = weight * samples + (1 - weight) * pooled
            spread = (mixed.var(0, correction=0) + neck.eps).sqrt()
            outputs.append((mixed - mixed.mean(0)) / spread * neck.weight + neck.bias)
        assert neck.num_batches_tracked is not None
        neck.num_batches_tracked.add_(1)
        return outputs

    @torch.no_grad()
    def update_memories(self, batches: Batches) -> None:
        """A forward of each domain in training mode under the new weights; then one image after the other."""
        for name, (images, labels) in batches.items():
            follow(self.memories[name], self.net(images)[1], labels)


def follow(memory: Tensor, embeddings: Tensor, labels: Tensor) -> None:
    """Moves a memory's rows towards the embeddings of their labels, one image after the other."""
    for embedding, label in zip(embeddings, labels, strict=True):
        memory[label] = MOMENTUM * memory[label] + (1 - MOMENTUM) * embedding
        memory[label] /= memory[label].norm()


def put(net: nn.Module, name: str, tensor: Tensor) -> None:
    """Lets a tensor that may have a history take the place of a parameter or buffer."""
    path, _, attribute = name.rpartition(".")
    owner = net.get_submodule(path)
    delattr(owner, attribute)
    setattr(owner, attribute, tensor)


def fresh_adam(start: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
    """The first step of an Adam of its own, from zero state, with 1e-8 inside the second moment; keeps the graph."""
    beta1, beta2 = 0.9, 0.999
    gradient.add_(WEIGHT_DECAY * start)
    first = beta1 * torch.zeros_like(start) + (1 - beta1) * gradient
    second = beta2 * torch.zeros_like(start) + (1 - beta2) * gradient * gradient + 1e-8
    denominator = second.sqrt() / (1 - beta2) ** 0.5 + 1e-8
    return start - learning_rate / (1 - beta1) * first / denominator


def hardest_triplet(features: Tensor, labels: Tensor) -> Tensor:
    """Mean over anchors of relu(farthest of its label, itself included - nearest of the others + margin)."""
    squares = features.square().sum(1)
    squared = squares[:, None] + squares[None, :] - 2 * features @ features.t()
    distances = squared.clamp(min=1e-12).sqrt()
    same = labels[:, None] == labels[None, :]
    farthest = distances.masked_fill(~same, -torch.inf).amax(1)
    nearest = distances.masked_fill(same, torch.inf).amin(1)
    return F.relu(farthest - nearest + MARGIN).mean()
