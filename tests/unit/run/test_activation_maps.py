from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from dgreid.nets.small import small
from dgreid.run.activation_maps import last_maps


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
