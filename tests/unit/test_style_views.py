"""What the pictures of styles show, against slow definitions."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from dgreid.draws import SeededDraws, StepDraws
from dgreid.nets.small import small
from dgreid.style import Uniform, styled
from dgreid.types import Clock

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from style_views import covariance, layer_maps, operations, principal_plane, spread, style_vectors, telling_channels

OWNERS = torch.arange(3).repeat(8)


def draws():
    return StepDraws(SeededDraws(), Clock(0, 0, 0.0, 0), "test")


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    styles = torch.rand(24, 6, 1, 1, generator=generator) * (1 + OWNERS[:, None, None, None])
    return styles * (2 + torch.randn(24, 6, 8, 4, generator=generator))


def own_style(maps, row):
    pixels = maps[row].flatten(1)
    return pixels.mean(dim=1), (pixels.var(dim=1) + 1e-6).sqrt()


def test_the_operations_are_those_of_the_whole_batch(maps):
    row, shown = operations(maps, OWNERS, draws())
    assert [one.name for one in shown] == ["uniform", "mixstyle", "dsu", "swap"]
    by_name = {one.name: one for one in shown}
    for name, share in (("mixstyle", by_name["mixstyle"].weight), ("swap", 0.0)):
        one = by_name[name]
        assert OWNERS[one.partner] != OWNERS[row]
        for found, own, lent in zip(
            own_style([one.maps], 0), own_style(maps, row), own_style(maps, one.partner), strict=True
        ):
            assert torch.allclose(found, share * own + (1 - share) * lent, atol=1e-4)
    assert abs(by_name["mixstyle"].weight - 0.5) < 0.45
    for one in shown:
        assert (one.maps - maps[row]).abs().max() > 0.1


def test_maps_are_those_of_training_and_of_the_open_style():
    net = small(width=2).eval()
    pictures = torch.randint(0, 256, (4, 3, 32, 16), dtype=torch.uint8)
    before = layer_maps(net, pictures, "backbone.layer1")
    with styled(net, Uniform(), draws()):
        after = layer_maps(net, pictures, "backbone.layer1")
    assert net.training
    assert (before - layer_maps(net, pictures, "backbone.layer1")).abs().max() == 0
    assert torch.equal(after, Uniform()(before, draws().under("backbone.layer1")))


def test_style_vectors_are_means_then_standard_deviations(maps):
    pixels = maps.double().flatten(2).numpy()
    expected = np.concatenate([pixels.mean(axis=2), pixels.std(axis=2, ddof=1)], axis=1)
    assert np.allclose(style_vectors(maps).numpy(), expected, atol=1e-5)


def test_the_plane_is_that_of_the_principal_components(maps):
    points, others = style_vectors(maps), torch.randn(5, 12)
    reference = PCA(n_components=2).fit(points.double().numpy())
    plane = principal_plane(points)
    assert np.allclose(plane.shares, reference.explained_variance_ratio_)
    for some in (points, others):
        expected = reference.transform(some.double().numpy())
        assert np.allclose(np.abs(plane.project(some).numpy()), np.abs(expected), atol=1e-6)


def test_the_spread_by_hand():
    assert spread(torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 8.0], [6.0, 8.0]])) == pytest.approx(5)


def test_channels_are_the_liveliest_and_the_one_that_was_turned_most():
    pattern = torch.linspace(-1, 1, 8).view(1, 2, 4)
    before = torch.tensor([1.0, 5.0, 3.0, 2.0, 4.0]).view(5, 1, 1) * pattern
    scales = torch.tensor([-6.0, 1.0, 1.0, -1.0, 1.0]).view(5, 1, 1)
    assert telling_channels(before, scales * before + 7, 3) == [1, 4, 0]
    assert telling_channels(before, before, 3) == [1, 2, 4]
    assert telling_channels(before, -before, 9) == [0, 1, 2, 3, 4]


def test_the_covariance_is_that_over_pixels(maps):
    found = covariance(maps[0], maps[1])
    expected = [np.cov(maps[0, c].flatten(), maps[1, c].flatten(), ddof=0)[0, 1] for c in range(6)]
    assert np.allclose(found.numpy(), expected, atol=1e-5)
