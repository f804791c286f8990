"""Class centroids against one image at a time."""

from __future__ import annotations

import torch
from torch import nn

from dgreid.centroids import class_centroids
from dgreid.types import Features, ReIDBatch


class Net(nn.Module):
    """A linear map and batch normalisation, which shows whether the net was in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 5)
        self.norm = nn.BatchNorm1d(5)

    def forward(self, images):
        pooled = self.linear(images.flatten(1))
        return Features(pooled, self.norm(pooled))


def batches(identities, images, size):
    index = torch.arange(len(identities))
    return [
        ReIDBatch(images[i : i + size], identities[i : i + size], index[i : i + size], index[i : i + size])
        for i in range(0, len(identities), size)
    ]


def test_the_mean_of_unit_embeddings_at_unit_length():
    net = Net()
    net.norm.running_mean.normal_()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    identities = torch.tensor([0, 2, 1, 2, 2, 0, 1, 3, 3, 2])
    images = torch.randn(10, 3, 2, 2)
    found = class_centroids(net.train(), batches(identities, images, 4), 4, lambda batch: batch)
    net.eval()
    for identity in range(4):
        mine = [image for image, owner in zip(images, identities.tolist(), strict=True) if owner == identity]
        rows = []
        for image in mine:
            with torch.no_grad():
                neck = net(image[None]).neck[0].double()
            rows.append(neck / neck.norm())
        mean = sum(rows) / len(rows)
        torch.testing.assert_close(found[identity].double(), mean / mean.norm(), rtol=1e-6, atol=1e-7)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_net_is_put_back_and_batches_are_prepared():
    net, seen = Net(), []

    def prepare(batch):
        seen.append((net.training, torch.is_grad_enabled()))
        return batch._replace(images=2 * batch.images)

    identities, images = torch.tensor([0, 1]), torch.randn(2, 3, 2, 2)
    doubled = class_centroids(net.train(), batches(identities, images, 1), 2, prepare)
    assert net.training
    assert not class_centroids(net.eval(), batches(identities, images, 1), 2, prepare).requires_grad
    assert not net.training
    assert seen == [(False, False)] * 4
    plain = class_centroids(net, batches(identities, 2 * images, 2), 2, lambda batch: batch)
    torch.testing.assert_close(doubled, plain)
    assert doubled.dtype == torch.float32
