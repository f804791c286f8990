"""Averaging with the mirror image."""

from __future__ import annotations

import torch
from torch import nn

from dgreid.evaluation.flip import FlipAveraged


class LeftColumn(nn.Module):
    """Sees the left column of the image alone."""

    def forward(self, images):
        return nn.functional.normalize(images[..., 0].flatten(1), dim=1)


def test_it_is_the_unit_mean_of_both_sides() -> None:
    images = torch.rand(3, 3, 4, 5, dtype=torch.float64)
    left, right = images[..., 0].flatten(1), images[..., -1].flatten(1)
    mean = left / left.norm(dim=1, keepdim=True) + right / right.norm(dim=1, keepdim=True)
    torch.testing.assert_close(FlipAveraged(LeftColumn())(images), mean / mean.norm(dim=1, keepdim=True))


def test_an_image_and_its_mirror_image_have_one_embedding() -> None:
    images = torch.rand(2, 3, 4, 5)
    net = FlipAveraged(LeftColumn())
    assert torch.equal(net(images), net(images.flip(3)))
