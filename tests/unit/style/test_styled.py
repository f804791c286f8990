import inspect
import textwrap

import pytest
import torch
from given_draws import NO_DRAWS, GivenDraws
from style_cases import ALWAYS, DOMAINS, EVERY_STYLE
from torch import nn
from torch.func import functional_call

import dgreid.style
from dgreid.draws import SeededDraws, StepDraws
from dgreid.errors import InputError
from dgreid.nets.resnet import resnet50
from dgreid.nets.small import small
from dgreid.style import Style, Uniform, check_layers, styled
from dgreid.types import Clock


class Added(Style):
    """Adds a number, so that it can be seen where and how often it was used."""

    def __init__(self, layers, number=1.0):
        super().__init__(layers, 1.0)
        self.number = number

    def apply(self, maps, draws, domains):
        return maps + self.number


class Pair(nn.Module):
    def forward(self, maps):
        return maps, maps


def hooks(net):
    return sum(len(module._forward_hooks) for module in net.modules())


def options_of(style):
    return {key: getattr(style, key) for key in inspect.signature(type(style)).parameters}


@pytest.fixture
def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1))


@pytest.fixture
def images():
    return torch.randn(6, 3, 8, 6)


@EVERY_STYLE
def test_the_named_layer_s_output_is_styled_and_all_else_as_before(net, images, name):
    style = type(ALWAYS[name])(**{**options_of(ALWAYS[name]), "layers": ["0"]})
    draws = StepDraws(SeededDraws(), Clock(step=0, epoch=0, learning_rate=1.0, seed=0), "memory_style")
    by_hand = net[1](style(net[0](images), draws.under("0"), DOMAINS))
    with styled(net, style, draws, DOMAINS):
        assert torch.equal(net(images), by_hand)
        assert torch.equal(net(images), by_hand), "the same draws in each forward"
    assert not torch.allclose(net(images), by_hand)


def test_nothing_stays_when_the_context_closes(net, images):
    plain = net(images)
    for _ in range(2):
        with styled(net, Added(["0", "1"])):
            assert hooks(net) == 2
            assert not torch.equal(net(images), plain)
        assert hooks(net) == 0
        assert torch.equal(net(images), plain)


def test_nothing_stays_after_an_exception_in_the_context(net, images):
    with pytest.raises(KeyError), styled(net, Added(["0", "1"])):
        raise KeyError("unrelated")
    assert hooks(net) == 0


def test_nothing_stays_after_an_exception_in_the_forward(net):
    with pytest.raises(InputError, match="two images"), styled(net, Uniform(["1"])):
        net(torch.randn(1, 3, 8, 6))
    assert hooks(net) == 0


def test_nothing_stays_when_the_context_cannot_open(net):
    class Unwilling(GivenDraws):
        def under(self, name):
            if name == "1":
                raise KeyError(name)
            return self

    with pytest.raises(InputError), styled(net, Added(["0", "2"])):
        pytest.fail("opened")
    with pytest.raises(KeyError), styled(net, Added(["0", "1"]), Unwilling()):
        pytest.fail("opened")
    assert hooks(net) == 0


def test_no_style_is_no_hook(net, images):
    with styled(net, None, NO_DRAWS):
        assert hooks(net) == 0


def test_a_net_in_evaluation_mode_is_never_styled(net, images):
    net.eval()
    plain = net(images)
    with styled(net, Uniform(["0"]), NO_DRAWS):
        assert torch.equal(net(images), plain)
        net.train()
        with pytest.raises(KeyError):  # now the style asks for draws, and there are none
            net(images)
        assert torch.equal(net.eval()(images), plain)


def test_a_part_in_evaluation_mode_of_a_net_in_training_is_styled(net, images):
    """A frozen norm within the layer does not switch the style off."""
    net[0].eval()
    with styled(net, Added(["0"])):
        assert torch.equal(net(images), net[1](net[0].forward(images) + 1))


def test_under_other_weights(net, images):
    weights = {name: 2 * parameter for name, parameter in net.named_parameters()}
    doubled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1))
    doubled.load_state_dict(weights)
    with styled(net, Added(["0"])):
        through = functional_call(net, weights, (images,))
    torch.testing.assert_close(through, doubled[1](doubled[0](images) + 1))


def test_each_layer_asks_under_its_own_name():
    net = small(width=2)
    draws = GivenDraws(gate=0.9)
    style = dgreid.style.MixStyle(["backbone.layer1", "backbone.conv1"], probability=0.5)
    with styled(net, style, draws):
        net(torch.randn(2, 3, 32, 16))
    assert draws.asked == [("number", "backbone.conv1/gate"), ("number", "backbone.layer1/gate")]


def test_contexts_can_be_nested(net, images):
    plain = net[0](images)
    with styled(net, Added(["0"], 1)):
        with styled(net, Added(["0"], 10)):
            assert torch.equal(net[0](images), plain + 1 + 10)
        assert torch.equal(net[0](images), plain + 1)
    assert torch.equal(net[0](images), plain)


def test_without_draws_they_come_from_torch_s_generator(net, images):
    with styled(net, Uniform(["0"])):
        outputs = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            outputs.append(net(images))
        following = net(images)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert not torch.equal(outputs[2], following)


def test_gradients_reach_the_weights_before_the_style(net, images):
    with styled(net, Uniform(["0"])):
        net(images).square().sum().backward()
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in net[0].parameters() if parameter.dim() > 1)


@pytest.mark.parametrize(
    ("layer", "what"), [(nn.Flatten(), r"\(6, 144\)"), (Pair(), "tuple"), (nn.Flatten(2), r"\(6, 3, 48\)")]
)
def test_a_layer_that_returns_no_map_is_refused(images, layer, what):
    net = nn.Sequential(layer)
    message = rf"layer 0 returns {what}, a style needs maps \(B, C, H, W\): choose another layer"
    with pytest.raises(InputError, match=message), styled(net, Uniform(["0"])):
        net(images)


@EVERY_STYLE
def test_maps_of_mixed_precision_stay_what_they_were(net, images, name):
    seen = []
    net[1].register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0].dtype))
    style = type(ALWAYS[name])(**{**options_of(ALWAYS[name]), "layers": ["0"]})
    with torch.autocast("cpu", torch.bfloat16), styled(net, style, domains=DOMAINS):
        assert bool(net(images).isfinite().all())
    assert seen == [torch.bfloat16]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("layer1", "did you mean 'backbone.layer1'?"),
        ("backbone.layer5", "did you mean 'backbone.layer"),
        ("backbone.layer3.5.con2", "did you mean 'backbone.layer3.5.conv2'?"),
        ("", "known: backbone"),
    ],
)
def test_an_unknown_layer_names_the_nearest_and_lists_the_stages(wrong, near):
    net = resnet50(weights="random")
    with pytest.raises(InputError, match=f"layer {wrong} is not in the net") as caught:
        check_layers(net, Uniform([wrong]))
    message = str(caught.value)
    assert near in message
    listed = message.rpartition("known: ")[2].split(", ")
    assert {"backbone.conv1", "backbone.maxpool", *(f"backbone.layer{stage}" for stage in (1, 2, 3, 4))} <= set(listed)
    assert len(listed) <= 25


def test_a_net_without_levels_lists_its_layers(net):
    with pytest.raises(InputError, match="layer 7 is not in the net; known: 0, 1"):
        check_layers(net, Uniform(["7"]))


def test_a_layer_under_two_names_has_both(images):
    shared = nn.Conv2d(3, 3, 1)
    net = nn.Sequential(shared, shared)
    check_layers(net, Added(["0", "1"]))


def test_the_documented_lines_run():
    """The example of the toolbox's docstring, on a net that knows nothing of it."""
    blocks = dgreid.style.__doc__.split("::\n\n")[1].split("\n\nNo layer")[0]
    code = textwrap.dedent(blocks)
    assert len([line for line in code.splitlines() if line]) <= 5

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer1, self.layer2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1)

        def forward(self, images):
            return self.layer2(self.layer1(images))

    given = {"net": Net(), "images": torch.randn(4, 3, 6, 6)}
    exec(code, given)
    assert given["features"].shape == (4, 5, 4, 4)
