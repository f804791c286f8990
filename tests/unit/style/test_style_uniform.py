from pathlib import Path

import numpy as np
import pytest
import torch
from given_draws import GivenDraws
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from slow_styles import slow_uniform
from style_cases import LAYOUTS, draws_for, maps_of

from dgreid.draws import SeededDraws, StepDraws
from dgreid.style import Uniform, channel_statistics, interleaving_range
from dgreid.types import Clock

RECORDED = Path(__file__).parents[2] / "fixtures" / "il" / "style.npz"


def recorded(case):
    with np.load(RECORDED) as arrays:
        return {name[2:]: torch.from_numpy(arrays[name]) for name in arrays if name.startswith(f"{case}.")}


@LAYOUTS
@pytest.mark.parametrize("case", ["A", "B", "C"])
def test_recorded_outputs_of_the_release(case, layout):
    """A has a dead and a constant channel, B negative standard deviations, C two images of two pixels."""
    arrays = recorded(case)
    maps = arrays["x"].contiguous(memory_format=layout)
    out = Uniform()(maps, GivenDraws(mean=arrays["u_mu"], std=arrays["u_sig"]))
    # The release's standard deviation of a constant channel is 0 up to rounding.
    constant = 2 if case == "A" else None
    for channel in range(maps.shape[1]):
        atol = 1e-9 if channel == constant else 1e-13
        torch.testing.assert_close(out[:, channel], arrays["out"][:, channel], rtol=1e-13, atol=atol)


@pytest.mark.parametrize("case", ["A", "B", "C"])
def test_recorded_ranges_of_the_release(case):
    arrays = recorded(case)
    statistics = channel_statistics(arrays["x"])
    for values, name in ((statistics.mean, "mu"), (statistics.std(0), "sig")):
        low, high = interleaving_range(values, strength=3)
        torch.testing.assert_close(low, arrays[f"{name}_low"], rtol=1e-13, atol=1e-12)
        torch.testing.assert_close(high, arrays[f"{name}_high"], rtol=1e-13, atol=1e-12)


def test_the_recorded_cases_have_what_they_are_for():
    assert float(recorded("B")["sampled_sig"].min()) < 0
    assert float(recorded("A")["x"][:, 1].abs().max()) == 0
    assert recorded("A")["x"][:, 2].unique().numel() == 1


@LAYOUTS
@pytest.mark.parametrize("strength", [0.0, 0.7, 3.0])
def test_it_is_its_formula_pixel_by_pixel(layout, strength):
    maps, draws = maps_of(layout=layout), draws_for("uniform")
    out = Uniform(strength=strength)(maps, draws)
    slow = slow_uniform(maps, draws.values["mean"], draws.values["std"], strength)
    torch.testing.assert_close(out, slow, rtol=1e-11, atol=1e-11)


def test_means_are_drawn_before_standard_deviations_one_for_each_image_and_channel():
    draws = draws_for("uniform")
    Uniform()(maps_of(), draws)
    assert draws.asked == [("uniform", "mean", 6, 3), ("uniform", "std", 6, 3)]


@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(2, 5),
    channels=st.integers(1, 4),
    pixels=st.tuples(st.integers(2, 5), st.integers(1, 5)),
    strength=st.floats(0, 4),
    seed=st.integers(0, 10**6),
)
def test_every_map_has_the_mean_and_standard_deviation_drawn_for_it(images, channels, pixels, strength, seed):
    maps, draws = maps_of(images, channels, *pixels, seed=seed), draws_for("uniform", images, channels, seed)
    statistics = channel_statistics(maps)
    wanted = []
    for values, name in ((statistics.mean, "mean"), (statistics.std(0), "std")):
        low, high = interleaving_range(values, strength)
        wanted.append(low + draws.values[name] * (high - low))
    reached = channel_statistics(Uniform(strength=strength)(maps, draws))
    torch.testing.assert_close(reached.mean, wanted[0], rtol=1e-9, atol=1e-9)
    clear = statistics.variance > 1e-3  # where eps leaves no mark
    torch.testing.assert_close(reached.std(0)[clear], wanted[1].abs()[clear], rtol=1e-3, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_range_of_width_zero_gives_every_image_the_batch_s_mean_style(seed):
    maps = maps_of(seed=seed)
    statistics = channel_statistics(maps)
    outputs = [Uniform(strength=0)(maps, draws_for("uniform", seed=other)) for other in (1, 2)]
    assert torch.equal(*outputs), "whatever is drawn"
    reached = channel_statistics(outputs[0])
    torch.testing.assert_close(reached.mean, statistics.mean.mean(dim=0).expand(6, 3))
    torch.testing.assert_close(reached.std(0), statistics.std(0).mean(dim=0).expand(6, 3), rtol=1e-3, atol=1e-3)


def test_ranges_over_equal_images_keep_a_least_width():
    low, high = interleaving_range(torch.full((4, 2), 5.0, dtype=torch.float64), strength=3)
    torch.testing.assert_close(high - low, torch.full((2,), 6e-6, dtype=torch.float64), rtol=1e-6, atol=0)


def test_drawn_styles_fill_the_ranges_evenly_and_independently():
    """Kolmogorov-Smirnov over 6000 draws of each kind (p > 0.001); correlations within four standard errors."""
    maps = maps_of(20, 30, 8, 8)
    statistics = channel_statistics(maps)
    places = []
    for step in range(10):
        clock = Clock(step=step, epoch=0, learning_rate=1.0, seed=0)
        # A narrow range: standard deviations stay positive and can be read from the output.
        out = channel_statistics(Uniform(strength=0.5)(maps, StepDraws(SeededDraws(), clock, "memory_style")))
        both = []
        for values, reached in ((statistics.mean, out.mean), (statistics.std(0), out.std(0))):
            low, high = interleaving_range(values, 0.5)
            both.append(((reached - low) / (high - low)).flatten())
        places.append(torch.stack(both))
    drawn = torch.cat(places, dim=1)
    for row in drawn:
        assert stats.kstest(row.numpy(), "uniform").pvalue > 0.001
    assert abs(float(torch.corrcoef(drawn)[0, 1])) < 4 / 6000**0.5
    neighbours = torch.stack([drawn[0, :-1], drawn[0, 1:]])
    assert abs(float(torch.corrcoef(neighbours)[0, 1])) < 4 / 6000**0.5


def test_statistics_carry_no_gradient():
    maps, draws = maps_of().requires_grad_(), draws_for("uniform")
    upstream = torch.randn(maps.shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(Uniform()(maps, draws), maps, upstream)
    statistics = channel_statistics(maps.detach())
    low, high = interleaving_range(statistics.std(0), 3)
    scale = (low + draws.values["std"] * (high - low)) / (statistics.variance + 1e-6).sqrt()
    torch.testing.assert_close(gradient, upstream * scale[..., None, None])
