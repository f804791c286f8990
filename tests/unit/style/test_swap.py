import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_styles import slow_partners, slow_swap
from style_cases import DOMAINS, LAYOUTS, draws_for, maps_of

from dgreid.errors import InputError
from dgreid.style import Swap, channel_statistics


@LAYOUTS
@pytest.mark.parametrize("strength", [0.0, 0.3, 0.8, 1.0])
def test_it_is_its_formula_pixel_by_pixel(layout, strength):
    maps, draws = maps_of(layout=layout), draws_for("swap")
    slow = slow_swap(maps, slow_partners(DOMAINS, draws.values["partner"]), strength)
    torch.testing.assert_close(Swap(strength=strength)(maps, draws, DOMAINS), slow, rtol=1e-11, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), domains=st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_strength_0_changes_nothing_and_1_gives_the_partner_s_style(seed, domains):
    domains = torch.tensor([*domains, max(domains) + 1])
    maps = maps_of(len(domains), 3, 4, 5, seed=seed)
    draws = draws_for("swap", rows=len(domains), seed=seed)
    torch.testing.assert_close(Swap(strength=0)(maps, draws, domains), maps, rtol=1e-12, atol=1e-12)
    partner = slow_partners(domains, draws.values["partner"])
    statistics, reached = channel_statistics(maps), channel_statistics(Swap()(maps, draws, domains))
    torch.testing.assert_close(reached.mean, statistics.mean[partner])
    torch.testing.assert_close(reached.variance, statistics.variance[partner], rtol=1e-3, atol=1e-3)


def test_only_partners_are_drawn():
    draws = draws_for("swap")
    Swap()(maps_of(), draws, DOMAINS)
    assert draws.asked == [("uniform", "partner", 6, 1)]


def test_statistics_carry_no_gradient():
    maps, draws = maps_of().requires_grad_(), draws_for("swap")
    upstream = torch.randn(maps.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(Swap()(maps, draws, DOMAINS), maps, upstream)
    std = (channel_statistics(maps.detach()).variance + 1e-6).sqrt()
    partner = slow_partners(DOMAINS, draws.values["partner"])
    torch.testing.assert_close(gradient, upstream * (std[partner] / std)[..., None, None])


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), None, True])
def test_strengths_outside_their_range_are_refused(strength):
    with pytest.raises(InputError, match=r"strength=.*must be a number within 0\.\.1"):
        Swap(strength=strength)
