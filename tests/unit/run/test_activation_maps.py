from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from dgreid.data.transforms import normalise
from dgreid.evaluation.observations.activation_energy import channel_energy
from dgreid.module import ReIDModule
from dgreid.nets.small import small
from dgreid.run.activation_maps import activations, last_maps
from dgreid.run.released import NoTraining
from dgreid.types import Features, ReIDBatch, ReIDRecord


class WithoutNames(nn.Module):
    """Its last maps come from no layer but from the whole trunk."""

    class Trunk(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 6, 3)])

        def forward(self, images):
            return functional.relu(self.layers[1](self.layers[0](images))) + 1

    def __init__(self):
        super().__init__()
        self.trunk = self.Trunk()
        self.pooling = nn.AdaptiveAvgPool2d(1)

    def forward(self, images):
        return functional.normalize(self.pooling(self.trunk(images)).flatten(1))


def test_the_last_maps_of_any_net_are_found():
    images = torch.randn(2, 3, 64, 32)
    net = WithoutNames()
    assert torch.equal(last_maps(net, images), net.trunk(images))
    net = small(width=4).eval()
    assert torch.equal(last_maps(net, images), net.backbone(images))
    assert not last_maps(net, images).requires_grad


def test_a_net_without_maps_has_none():
    assert last_maps(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 8, 5)), torch.randn(2, 3, 16, 8)) is None


def test_the_net_is_left_as_it_was():
    net = small(width=4).eval()
    last_maps(net, torch.randn(2, 3, 64, 32))
    assert not any(layer._forward_hooks for layer in net.modules())


def batch_of(count):
    images = torch.randint(0, 256, (count, 3, 64, 32), dtype=torch.uint8)
    return ReIDBatch(images, *torch.zeros(3, count, dtype=torch.int64))


def test_the_picture_shows_the_maps_of_normalised_images(tmp_path):
    module = ReIDModule(small(width=4), NoTraining(), [])
    batch = batch_of(3)
    records = [ReIDRecord(Path(f"{k}.jpg"), k, 0) for k in range(3)]
    found = activations(module, batch, records)
    assert found is not None
    of_records, pixels, energies = found
    assert of_records == records
    for image, array in zip(batch.images, pixels, strict=True):
        assert torch.equal(torch.from_numpy(array).permute(2, 0, 1), image)
    with torch.no_grad():
        maps = module.net.eval().backbone(normalise(batch.images, module.mean, module.std))
    assert maps.shape[2:] == energies.shape[1:] == (4, 2)
    assert torch.equal(torch.from_numpy(energies), torch.from_numpy(channel_energy(maps)))
    assert found.draw(tmp_path / "activations.png").read_bytes().startswith(b"\x89PNG")


def test_a_net_without_maps_gets_no_picture():
    class WithoutMaps(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3 * 64 * 32, 5)

        def forward(self, images):
            features = self.linear(images.flatten(1))
            return Features(features, features)

    module = ReIDModule(WithoutMaps(), NoTraining(), [])
    records = [ReIDRecord(Path("0.jpg"), 0, 0)]
    assert activations(module, batch_of(1), records) is None
