from __future__ import annotations

import numpy as np
import torch

from dgreid.evaluation.observations.activation_energy import channel_energy, stretched


def test_energy_is_the_sum_of_squares_over_channels_from_least_to_most():
    maps = torch.randn(3, 5, 4, 2, generator=torch.Generator().manual_seed(0))
    found = channel_energy(maps)
    for image in range(3):
        energy = [[sum(float(maps[image, c, y, x]) ** 2 for c in range(5)) for x in range(2)] for y in range(4)]
        low, high = np.min(energy), np.max(energy)
        np.testing.assert_allclose(found[image], (np.array(energy) - low) / (high - low), atol=1e-5)


def test_each_image_has_its_own_scale():
    maps = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    one, other = channel_energy(maps), channel_energy(maps * torch.tensor([1.0, 100.0]).view(2, 1, 1, 1))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_maps_that_are_alike_everywhere_have_no_energy_to_show():
    np.testing.assert_array_equal(channel_energy(torch.full((1, 3, 4, 2), 7.0)), np.zeros((1, 4, 2)))


def test_half_precision_does_not_overflow():
    maps = torch.full((1, 2, 1, 2), 300.0, dtype=torch.float16)
    maps[..., 0] = 0
    np.testing.assert_array_equal(channel_energy(maps), [[[0, 1]]])


def test_a_map_at_the_size_of_its_image_is_linear_between_the_middles_of_places():
    found = stretched(np.array([[0.0, 1.0]], np.float32), 3, 8)
    middles = (np.arange(8) + 0.5) / 4 - 0.5  # of the pixels, in places
    np.testing.assert_allclose(found, np.tile(middles.clip(0, 1), (3, 1)), atol=1e-6)
