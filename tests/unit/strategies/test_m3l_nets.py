"""M3L on other nets: IBN, dropout, frozen layers, mixed precision; and on degenerate ones."""

import m3l_problem
import pytest
import torch
from m3l_problem import METHODS, Draws, gradient_of, net_of_four_channels, prepared, train
from slow_m3l import assert_is_the_text
from small_problem import clock
from torch import nn

from dgreid.nets.ibn import InstanceBatchNorm
from dgreid.nets.resnet import resnet50_ibn_a


def net_with_instance_norms():
    net = net_of_four_channels()
    for stage in (net.backbone.layer1, net.backbone.layer2):
        stage.bn1 = InstanceBatchNorm(stage.conv1.out_channels).double()
    return net


def net_with_dropout():
    net = net_of_four_channels()
    net.backbone.relu = nn.Sequential(nn.ReLU(), nn.Dropout(0.3))
    return net


def net_with_frozen_layers():
    net = net_of_four_channels(neck_bias="frozen")
    for parameter in (*net.backbone.conv1.parameters(), *net.backbone.layer2.parameters()):
        parameter.requires_grad_(False)
    return net


@pytest.mark.parametrize("hypergradient", METHODS)
@pytest.mark.parametrize("build", [net_with_instance_norms, net_with_frozen_layers])
def test_two_steps_are_those_of_the_text(build, hypergradient):
    assert_is_the_text(3, net=build(), hypergradient=hypergradient)


def test_frozen_parameters_stay():
    strategy, net = prepared(3, net_with_frozen_layers())
    before = {name: value.clone() for name, value in net.named_parameters()}
    train(strategy, net, 3)
    for name, value in net.named_parameters():
        assert torch.equal(value, before[name]) == (not value.requires_grad)
        assert (value.grad is None) == (not value.requires_grad)


def test_dropout_drops_the_same_units_when_a_domain_passes_again():
    """The graph differentiates the very units that were dropped; products pass each domain a second time."""
    found = []
    for hypergradient in METHODS:
        strategy, net = prepared(3, net_with_dropout(), hypergradient=hypergradient)
        torch.manual_seed(3)
        found.append(gradient_of(strategy, net, 3))
    assert (found[0] - found[1]).norm() < 1e-10 * found[0].norm()
    torch.manual_seed(4)
    assert (gradient_of(strategy, net, 3) - found[1]).norm() > 0.1 * found[1].norm()


@pytest.mark.slow
def test_products_are_the_graph_on_resnet50_ibn_a():
    found = []
    for hypergradient in METHODS:
        torch.manual_seed(0)
        net = resnet50_ibn_a(weights="random").double().train()
        for block in net.modules():
            if hasattr(block, "bn3"):
                nn.init.constant_(block.bn3.weight, 0.2)  # well-conditioned, as trained nets are
        found.append(gradient_of(*prepared(2, net, hypergradient=hypergradient), 2))
    assert (found[0] - found[1]).norm() < 1e-9 * found[0].norm()


@pytest.mark.parametrize("hypergradient", METHODS)
def test_float32_is_float64_to_its_precision(hypergradient):
    exact = gradient_of(*prepared(3, hypergradient=hypergradient), 3)
    strategy, net = prepared(3, net_of_four_channels().float(), hypergradient=hypergradient)
    found = gradient_of(strategy, net, 3, torch.float32)
    assert found.dtype == torch.float32
    assert (found - exact).norm() < 1e-2 * exact.norm()


@pytest.mark.parametrize("hypergradient", METHODS)
def test_bfloat16_autocast(hypergradient):
    """Gradients stay float32 and finite, and point where float32's do."""
    found = []
    for enabled in (False, True):
        strategy, net = prepared(3, net_of_four_channels().float(), hypergradient=hypergradient)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            found.append(gradient_of(strategy, net, 3, torch.float32))
            strategy.after_step(net, m3l_problem.batches(0, 3, torch.float32), None, clock(0))
    exact, mixed = found
    assert mixed.dtype == torch.float32
    assert bool(torch.isfinite(mixed).all())
    assert torch.cosine_similarity(exact, mixed, dim=0) > 0.8
    assert strategy.bank("first").rows.dtype == torch.float32


def with_dead_channels(net):
    """Five pooled features are 0 on every image: their variance is exactly 0."""
    for norm in (net.backbone.layer4.bn2, net.backbone.layer4.downsample[1]):
        with torch.no_grad():
            norm.bias[:5] = -100
    return net


@pytest.mark.parametrize("scale", ["std", "variance"])
@pytest.mark.parametrize("hypergradient", METHODS)
def test_features_of_variance_0(hypergradient, scale):
    net = with_dead_channels(net_of_four_channels())
    pooled = net(m3l_problem.batches(0, 3)["first"].images).pooled
    assert int((pooled.var(dim=0) == 0).sum()) == 5
    assert_is_the_text(3, net=net, hypergradient=hypergradient, metabn_scale=scale)


def all_finite(strategy, net, batches):
    result = strategy.loss(net, batches, clock(0))
    result.loss.backward()
    strategy.after_step(net, batches, result, clock(0))
    gradients = [value.grad for value in net.parameters() if value.requires_grad]
    tensors = [*gradients, *result.scalars.values(), *net.state_dict().values(), *strategy.state_dict().values()]
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


@pytest.mark.parametrize("hypergradient", METHODS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("black", ["first", "second", "third"])
def test_a_batch_whose_images_are_all_black(black, dtype, hypergradient):
    """All features are equal, so the neck's are exactly 0 and have no direction; in any role of the domain."""
    net = net_of_four_channels(neck_bias="frozen").to(dtype)
    strategy, _ = prepared(3, net, draws=Draws(1), hypergradient=hypergradient)
    batches = m3l_problem.batches(0, 3, dtype)
    batches[black] = batches[black]._replace(images=torch.zeros_like(batches[black].images))
    assert all_finite(strategy, net, batches)


@pytest.mark.parametrize("hypergradient", METHODS)
def test_a_net_whose_gradient_is_0(hypergradient):
    """Nothing passes the last norms; the meta-train gradient is exactly 0, and so is all that follows."""
    net = net_of_four_channels(neck_bias="frozen")
    for norm in (net.backbone.layer4.bn2, net.backbone.layer4.downsample[1]):
        nn.init.zeros_(norm.weight)
    strategy, _ = prepared(3, net, hypergradient=hypergradient)
    assert all_finite(strategy, net, m3l_problem.batches(0, 3))
    assert all(float(value.grad.abs().max()) == 0 for value in net.parameters() if value.requires_grad)
