import pytest
import torch
from slow_styles import tables
from style_cases import LAYOUTS, maps_of

import dgreid.style.statistics
from dgreid.style import Statistics, channel_statistics, restyle


def assert_are_tables(statistics, maps, rtol=1e-12):
    means, variances = (torch.tensor(table, dtype=torch.float64) for table in tables(maps))
    torch.testing.assert_close(statistics.mean.double(), means, rtol=rtol, atol=rtol)
    torch.testing.assert_close(statistics.variance.double(), variances, rtol=rtol, atol=rtol)


@LAYOUTS
@pytest.mark.parametrize("needs_gradient", [False, True])
@pytest.mark.parametrize("shape", [(6, 3, 4, 5), (2, 1, 1, 2), (3, 2, 2, 1)])
def test_statistics_are_those_of_the_pixels(layout, needs_gradient, shape):
    maps = maps_of(*shape, layout=layout).requires_grad_(needs_gradient)
    statistics = channel_statistics(maps)
    assert statistics.mean.shape == statistics.variance.shape == shape[:2]
    assert statistics.mean.requires_grad == needs_gradient
    assert_are_tables(statistics, maps.detach())


@LAYOUTS
@pytest.mark.parametrize("numbers", [1, 60, 130, 10**6])
def test_slices_do_not_show(monkeypatch, layout, numbers):
    """One, one, two and all seven images at a time."""
    monkeypatch.setattr(dgreid.style.statistics, "SLICE", numbers)
    maps = maps_of(7, 3, 4, 5, layout=layout)
    assert_are_tables(channel_statistics(maps), maps)


@pytest.mark.parametrize("needs_gradient", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_statistics_of_reduced_precision_are_in_single(dtype, needs_gradient):
    maps = maps_of(dtype=dtype)
    statistics = channel_statistics(maps.clone().requires_grad_(needs_gradient))
    assert statistics.mean.dtype == statistics.variance.dtype == torch.float32
    assert_are_tables(Statistics(*(value.detach() for value in statistics)), maps, rtol=2e-6)


def test_a_small_variance_far_from_zero_is_not_lost():
    """The mean of squares less the squared mean would have no correct digit here."""
    maps = (maps_of() * 1e-3 + 100).float()
    variance = torch.tensor(tables(maps)[1])
    torch.testing.assert_close(channel_statistics(maps).variance, variance, rtol=1e-3, atol=0)


def test_dead_and_constant_channels_have_no_variance():
    maps = maps_of(dtype=torch.float32)
    maps[:, 0], maps[:, 1] = 0, 30
    statistics = channel_statistics(maps)
    assert torch.equal(statistics.variance[:, :2], torch.zeros(6, 2))
    assert torch.equal(statistics.mean[:, :2], torch.tensor([0.0, 30.0]).expand(6, 2))


def test_eps_is_within_the_root():
    statistics = Statistics(torch.zeros(1, 2), torch.tensor([[0.0, 5.0]]))
    torch.testing.assert_close(statistics.std(4.0), torch.tensor([[2.0, 3.0]]))
    assert float(statistics.std(0)[0, 0]) == 0


@LAYOUTS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_own_statistics_change_nothing(layout, dtype):
    maps = maps_of(dtype=dtype, layout=layout)
    statistics = channel_statistics(maps)
    same = restyle(maps, statistics, statistics.mean, statistics.std(1e-6), eps=1e-6)
    assert same.dtype == dtype
    assert same.stride() == maps.stride(), "the memory format stays"
    torch.testing.assert_close(same, maps)


@pytest.mark.parametrize("eps", [1e-6, 0.5])
def test_wanted_statistics_are_reached_but_for_eps(eps):
    maps, other = maps_of(), channel_statistics(maps_of(seed=1))
    statistics = channel_statistics(maps)
    reached = channel_statistics(restyle(maps, statistics, other.mean, other.std(0), eps))
    torch.testing.assert_close(reached.mean, other.mean)
    torch.testing.assert_close(reached.variance, other.variance * statistics.variance / (statistics.variance + eps))


def test_a_negative_standard_deviation_turns_the_map_upside_down():
    maps = maps_of()
    statistics = channel_statistics(maps)
    upside_down = restyle(maps, statistics, statistics.mean, -statistics.std(1e-6))
    torch.testing.assert_close(upside_down, 2 * statistics.mean[..., None, None] - maps)
