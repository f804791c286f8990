import pytest
import torch
from scipy import stats
from slow_styles import slow_dsu
from style_cases import LAYOUTS, draws_for, maps_of

from dgreid.draws import SeededDraws, StepDraws
from dgreid.style import DSU, channel_statistics
from dgreid.types import Clock


@LAYOUTS
@pytest.mark.parametrize("needs_gradient", [False, True])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_it_is_its_formula_pixel_by_pixel(layout, needs_gradient, strength):
    maps, draws = maps_of(layout=layout), draws_for("dsu")
    out = DSU(probability=1, strength=strength)(maps.clone().requires_grad_(needs_gradient), draws)
    slow = slow_dsu(maps, draws.values["mean"], draws.values["std"], strength)
    torch.testing.assert_close(out.detach(), slow, rtol=1e-11, atol=1e-11)


def test_means_are_drawn_before_standard_deviations_one_for_each_image_and_channel():
    draws = draws_for("dsu")
    DSU(probability=1)(maps_of(), draws)
    assert draws.asked == [("normal", "mean", 6, 3), ("normal", "std", 6, 3)]


def test_no_noise_changes_nothing():
    maps = maps_of()
    torch.testing.assert_close(DSU(probability=1, strength=0)(maps, draws_for("dsu")), maps, rtol=1e-12, atol=1e-12)


def test_noise_is_normal_and_as_wide_as_statistics_vary_in_the_batch():
    """Kolmogorov-Smirnov over 6000 draws of each kind (p > 0.001); correlation within four standard errors."""
    maps = maps_of(20, 30, 8, 8)
    own = channel_statistics(maps)
    noise = []
    for step in range(10):
        clock = Clock(step=step, epoch=0, learning_rate=1.0, seed=0)
        # Little noise: standard deviations stay positive and can be read from the output.
        out = channel_statistics(DSU(probability=1, strength=0.05)(maps, StepDraws(SeededDraws(), clock, "s")))
        pairs = ((own.mean, out.mean), (own.std(1e-6), out.std(0)))
        noise.append(torch.stack([((b - a) / (0.05 * a.std(dim=0))).flatten() for a, b in pairs]))
    drawn = torch.cat(noise, dim=1)
    for row in drawn:
        assert stats.kstest(row.numpy(), "norm").pvalue > 0.001
    assert abs(float(torch.corrcoef(drawn)[0, 1])) < 4 / 6000**0.5


def explicit(maps, normal_mean, normal_std):
    """DSU as one formula for autograd."""
    mean, std = maps.mean(dim=(2, 3)), (maps.var(dim=(2, 3)) + 1e-6).sqrt()
    new_mean = mean + normal_mean * (mean.var(dim=0) + 1e-6).sqrt()
    new_std = std + normal_std * (std.var(dim=0) + 1e-6).sqrt()
    normalised = (maps - mean[..., None, None]) / std[..., None, None]
    return normalised * new_std[..., None, None] + new_mean[..., None, None]


@LAYOUTS
def test_statistics_carry_gradient(layout):
    maps, draws = maps_of(layout=layout).requires_grad_(), draws_for("dsu")
    upstream = torch.randn(maps.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(DSU(probability=1)(maps, draws), maps, upstream)
    (expected,) = torch.autograd.grad(explicit(maps, draws.values["mean"], draws.values["std"]), maps, upstream)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-10)


def test_its_gradient_is_that_of_finite_differences():
    maps, draws = maps_of(3, 2, 2, 3).requires_grad_(), draws_for("dsu", 3, 2)
    assert torch.autograd.gradcheck(lambda x: DSU(probability=1)(x, draws), (maps,))


def test_what_is_published_is_the_default():
    style = DSU()
    assert style.layers == ("backbone.conv1", *(f"backbone.layer{stage}" for stage in (1, 2, 3, 4)))
    assert (style.probability, style.strength) == (0.5, 1.0)
