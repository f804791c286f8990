import pytest
import torch
from given_draws import NO_DRAWS, GivenDraws
from style_cases import ALWAYS, DOMAINS, EVERY_STYLE, LAYOUTS, draws_for, maps_of

from dgreid.batch_parts import BatchParts
from dgreid.draws import AmbientDraws, SeededDraws, StepDraws
from dgreid.errors import InputError
from dgreid.style import DSU, MixStyle, Style, Swap, Uniform
from dgreid.types import Clock

CLASSES = pytest.mark.parametrize("kind", [Uniform, MixStyle, DSU, Swap])


@CLASSES
def test_with_probability_0_maps_are_the_same_object_and_nothing_is_drawn(kind):
    maps = maps_of()
    assert kind(probability=0)(maps, NO_DRAWS, DOMAINS) is maps


@EVERY_STYLE
def test_with_probability_1_a_style_is_always_used_and_the_gate_not_drawn(name):
    maps, draws = maps_of(), draws_for(name)
    out = ALWAYS[name](maps, draws, DOMAINS)
    assert float((out - maps).abs().max()) > 0.1
    assert not any(kind == "number" for kind, *_ in draws.asked)


@CLASSES
@pytest.mark.parametrize(("drawn", "used"), [(0.0, True), (0.2999, True), (0.3, False), (0.9999, False)])
def test_a_style_is_used_if_its_gate_draw_is_below_the_probability(kind, drawn, used):
    class Marked(kind):
        def apply(self, maps, draws, domains):
            return maps + 1

    maps, draws = maps_of(), GivenDraws(gate=drawn)
    out = Marked(probability=0.3)(maps, draws, DOMAINS)
    assert draws.asked == [("number", "gate")]
    assert (out is not maps) == used


def test_a_style_is_used_as_often_as_its_probability_says():
    """3000 steps, four standard errors; all parts of a forward agree."""
    style, maps, used = MixStyle(probability=0.3), maps_of(2, 1, 1, 2), 0
    for step in range(3000):
        clock = Clock(step=step, epoch=0, learning_rate=1.0, seed=0)
        draws = StepDraws(SeededDraws(), clock, "loss_style/a", BatchParts(2))
        parts = [style(maps, draws.at(part)) is not maps for part in range(2)]
        assert parts[0] == parts[1]
        used += parts[0]
    assert abs(used / 3000 - 0.3) < 4 * (0.3 * 0.7 / 3000) ** 0.5


@LAYOUTS
@EVERY_STYLE
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_reduced_precision_changes_only_the_rounding(name, dtype, layout):
    maps = maps_of(dtype=dtype, layout=layout)
    out = ALWAYS[name](maps, draws_for(name), DOMAINS)
    assert out.dtype == dtype
    assert out.stride() == maps.stride(), "the memory format stays"
    exact = ALWAYS[name](maps.double(), draws_for(name), DOMAINS)
    torch.testing.assert_close(out, exact.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-4)


@EVERY_STYLE
def test_maps_are_not_overwritten(name):
    maps = maps_of()
    before = maps.clone()
    ALWAYS[name](maps, draws_for(name), DOMAINS)
    assert torch.equal(maps, before)


@EVERY_STYLE
def test_constant_maps_stay_finite_and_have_finite_gradients(name):
    maps = torch.full((6, 3, 4, 5), 7.0, requires_grad=True)
    out = ALWAYS[name](maps, draws_for(name), DOMAINS)
    out.square().sum().backward()
    assert bool(out.isfinite().all())
    assert bool(maps.grad.isfinite().all())


@EVERY_STYLE
@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (6, 3, 1, 1), (0, 3, 4, 5), (6, 3, 0, 5)])
def test_maps_without_standard_deviations_are_refused(name, shape):
    with pytest.raises(InputError, match=r"\(.*\): standard deviations need at least two images and two pixels; take"):
        ALWAYS[name](torch.ones(shape), NO_DRAWS, torch.arange(shape[0]))


@EVERY_STYLE
@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4), (6, 3, 4, 5, 6)])
def test_what_is_no_map_is_refused(name, shape):
    with pytest.raises(InputError, match=r"changes maps \(B, C, H, W\), not \(6, 3.*choose a layer that returns maps"):
        ALWAYS[name](torch.ones(shape), NO_DRAWS, DOMAINS)


CROSS_DOMAIN = pytest.mark.parametrize("style", [Swap(), MixStyle(partner="cross_domain")], ids=["swap", "mixstyle"])


@CROSS_DOMAIN
@pytest.mark.parametrize(
    ("domains", "given"), [(None, "no domains were given"), (torch.full((6,), 2), "all 6 images are of one")]
)
def test_styles_across_domains_need_several_and_to_know_them(style, domains, given):
    assert style.needs_domains
    with pytest.raises(
        InputError, match=rf"{given}: give it a batch of several domains, and say which image is of which"
    ):
        style(maps_of(), AmbientDraws(), domains)


@CROSS_DOMAIN
def test_domains_are_one_number_for_each_image(style):
    with pytest.raises(InputError, match=r"domains \(5,\) must have one number for each of the 6 images"):
        style(maps_of(), AmbientDraws(), torch.arange(5))


def test_the_other_styles_need_no_domains():
    assert not any(style.needs_domains for style in (Uniform(), MixStyle(), DSU()))


@CLASSES
@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan"), "0.5", None, True])
def test_probabilities_outside_their_range_are_refused(kind, probability):
    with pytest.raises(InputError, match=r"probability=.*must be a number within 0\.\.1"):
        kind(probability=probability)


@CLASSES
@pytest.mark.parametrize("layers", [[], "backbone.layer1", ["a", 1], ["a", "a"], None])
def test_layers_must_be_a_list_of_different_names(kind, layers):
    with pytest.raises(
        InputError, match=r"layers=.*must be a list of different layer names, e\.g\. \[backbone\.layer1\]"
    ):
        kind(layers=layers)


@pytest.mark.parametrize("kind", [Uniform, DSU])
@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf"), "3", False])
def test_strengths_outside_their_range_are_refused(kind, strength):
    with pytest.raises(InputError, match=r"strength=.*must be a number at least 0"):
        kind(strength=strength)


def test_what_is_published_is_il_s_default():
    style = Uniform()
    assert (style.layers, style.probability, style.strength) == (("backbone.layer1",), 1.0, 3.0)


def test_a_style_of_one_s_own_is_one_method():
    class Doubled(Style):
        def apply(self, maps, draws, domains):
            return 2 * maps

    maps = maps_of()
    assert torch.equal(Doubled(["a"], 1.0)(maps, NO_DRAWS), 2 * maps)
