import pytest
import torch
from given_draws import GivenDraws
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_styles import slow_mixstyle, slow_partners
from style_cases import DOMAINS, LAYOUTS, draws_for, maps_of

from dgreid.draws import SeededDraws, StepDraws
from dgreid.errors import InputError
from dgreid.style import MixStyle, channel_statistics
from dgreid.types import Clock


def mixstyle(partner="random", **options):
    return MixStyle(probability=1.0, partner=partner, **options)


@LAYOUTS
def test_it_is_its_formula_pixel_by_pixel(layout):
    maps, draws = maps_of(layout=layout), draws_for("mixstyle")
    slow = slow_mixstyle(maps, draws.values["weight"], draws.values["partner"])
    torch.testing.assert_close(mixstyle()(maps, draws), slow, rtol=1e-11, atol=1e-11)


@LAYOUTS
def test_cross_domain_is_its_formula_pixel_by_pixel(layout):
    maps, draws = maps_of(layout=layout), draws_for("mixstyle_cross_domain")
    slow = slow_mixstyle(maps, draws.values["weight"], slow_partners(DOMAINS, draws.values["partner"]))
    torch.testing.assert_close(mixstyle("cross_domain")(maps, draws, DOMAINS), slow, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("partner", "asked"),
    [("random", ("permutation", "partner", 6)), ("cross_domain", ("uniform", "partner", 6, 1))],
)
def test_what_is_drawn(partner, asked):
    draws = draws_for("mixstyle" if partner == "random" else "mixstyle_cross_domain")
    mixstyle(partner, concentration=0.3)(maps_of(), draws, DOMAINS)
    assert draws.asked == [("beta", "weight", 6, 0.3), asked]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(2, 6))
def test_weight_1_changes_nothing_and_weight_0_gives_the_partner_s_style(seed, images):
    maps = maps_of(images, 3, 4, 5, seed=seed)
    partner = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    own, other = (GivenDraws(weight=torch.full((images,), weight), partner=partner) for weight in (1.0, 0.0))
    torch.testing.assert_close(mixstyle()(maps, own), maps, rtol=1e-12, atol=1e-12)
    statistics, reached = channel_statistics(maps), channel_statistics(mixstyle()(maps, other))
    torch.testing.assert_close(reached.mean, statistics.mean[partner])
    torch.testing.assert_close(reached.variance, statistics.variance[partner], rtol=1e-3, atol=1e-3)


def test_one_weight_for_all_channels_of_an_image_and_another_for_each_image():
    """Read from outputs they are of Beta(0.5, 0.5): mean 1/2, variance 1/8, within four standard errors."""
    maps = maps_of(500, 2, 6, 6)
    maps[:250, :] += 20  # every image of one half can tell its own style from one of the other half
    domains = torch.arange(500) // 250
    clock = Clock(step=0, epoch=0, learning_rate=1.0, seed=0)
    out = mixstyle("cross_domain", concentration=0.5)(maps, StepDraws(SeededDraws(), clock, "s"), domains)
    draws = StepDraws(SeededDraws(), clock, "s")
    partner = slow_partners(domains, draws.uniform(500, 1, "partner"))
    own = channel_statistics(maps).mean
    weight = (channel_statistics(out).mean - own[partner]) / (own - own[partner])
    torch.testing.assert_close(weight[:, 0], weight[:, 1], rtol=1e-6, atol=1e-6)
    assert weight[:, 0].unique().numel() == 500
    assert abs(float(weight[:, 0].mean()) - 0.5) < 4 * (1 / 8 / 500) ** 0.5
    assert abs(float(weight[:, 0].var()) - 1 / 8) < 0.02


def test_statistics_carry_no_gradient():
    maps, draws = maps_of().requires_grad_(), draws_for("mixstyle")
    upstream = torch.randn(maps.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(mixstyle()(maps, draws), maps, upstream)
    std = (channel_statistics(maps.detach()).variance + 1e-6).sqrt()
    weight = draws.values["weight"][:, None]
    mixed = weight * std + (1 - weight) * std[draws.values["partner"]]
    torch.testing.assert_close(gradient, upstream * (mixed / std)[..., None, None])


@pytest.mark.parametrize("concentration", [0, -0.1, float("nan"), float("inf"), "0.1"])
def test_concentrations_outside_their_range_are_refused(concentration):
    with pytest.raises(InputError, match=r"concentration=.*must be"):
        MixStyle(concentration=concentration)


def test_unknown_partners_are_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"partner=cross_domains: did you mean 'cross_domain'\?"):
        MixStyle(partner="cross_domains")


def test_what_is_published_is_the_default():
    style = MixStyle()
    assert style.layers == ("backbone.layer1", "backbone.layer2")
    assert (style.probability, style.concentration, style.partner) == (0.5, 0.1, "random")
