"""Layers with written-out second derivatives: torch's in all but speed."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from dgreid.nets.batch_norm import BatchNorm2d
from dgreid.nets.convolution import Conv2d, without_weight_gradients
from dgreid.nets.ibn import InstanceBatchNorm
from dgreid.nets.second_order import prepare_for_second_order
from dgreid.nets.small import small

GEOMETRIES = {
    "1x1": {"kernel_size": 1},
    "1x1 strided": {"kernel_size": 1, "stride": 2},
    "3x3 padded": {"kernel_size": 3, "padding": 1},
    "3x3 strided": {"kernel_size": 3, "stride": 2, "padding": 1},
    "oblong": {"kernel_size": (3, 2), "stride": (1, 2), "padding": (0, 1)},
    "dilated": {"kernel_size": 3, "dilation": 2, "padding": 2},
    "wide": {"kernel_size": 5, "stride": 2, "padding": 2},
}
FORMATS = [(torch.contiguous_format, torch.float64), (torch.channels_last, torch.float32)]
LEFT_TO_TORCH = {
    "bias": {"bias": True},
    "groups": {"groups": 2},
    "reflected": {"padding": 1, "padding_mode": "reflect"},
    "same": {"padding": "same"},
}


def maps(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def convolution(**options):
    torch.manual_seed(0)
    return nn.Conv2d(**{"in_channels": 2, "out_channels": 4, "kernel_size": 3, "bias": False, **options}).double()


def norm(channels=3, **options):
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(channels, **options).double()
    if layer.affine:
        nn.init.normal_(layer.weight, 1, 0.3)
        nn.init.normal_(layer.bias)
    return layer


def fast(layer):
    layer = copy.deepcopy(layer)
    prepare_for_second_order(layer)
    assert type(layer) in (Conv2d, BatchNorm2d)
    return layer


def derivatives(layer, inputs):
    """Output, gradients of a smooth function of it, and gradients of a smooth function of those, by all leaves."""
    x = inputs.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    leaves = [x, *layer.parameters()]
    output = layer(x)
    loss = (output.double().tanh() * maps(*output.shape, seed=5)).sum()
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    follow_up = sum((one.double() * maps(*one.shape, seed=6)).sin().sum() for one in first)
    second = torch.autograd.grad(follow_up, leaves, materialize_grads=True)
    return output, first, second


def assert_same_derivatives(layer, inputs, rtol):
    """The output to the last bit; derivatives relative to the largest number of each."""
    replaced = fast(layer)
    (expected, *orders), (found, *own_orders) = derivatives(layer, inputs), derivatives(replaced, inputs)
    assert torch.equal(found, expected)
    assert found.dtype == expected.dtype
    assert found.stride() == expected.stride()
    for one, other in zip(orders, own_orders, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.dtype == b.dtype
            assert (a - b).abs().max() <= rtol * a.abs().max()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, replaced.state_dict()[name]), name
    return replaced


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_convolution_s_derivatives_are_numerical_ones(geometry):
    layer, inputs = fast(convolution(**geometry)), maps(1, 2, 6, 5).requires_grad_()

    def convolve(x, weight):
        return functional_call(layer, {"weight": weight}, (x,))

    weight = layer.weight.detach().clone().requires_grad_()
    assert gradcheck(convolve, (inputs, weight), fast_mode=True)
    assert gradgradcheck(convolve, (inputs, weight), fast_mode=True)


def test_batch_norm_s_derivatives_are_numerical_ones():
    layer, inputs = fast(norm(2)), (3 * maps(3, 2, 1, 2) + 1).requires_grad_()

    def normalise(x, weight, bias):
        return functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    affine = [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]
    assert gradcheck(normalise, (inputs, *affine))
    assert gradgradcheck(normalise, (inputs, *affine))


@pytest.mark.parametrize(("memory_format", "dtype"), FORMATS)
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_convolution_is_torch_s(geometry, memory_format, dtype):
    layer = convolution(**geometry).to(dtype=dtype, memory_format=memory_format)
    inputs = maps(2, 2, 9, 8, dtype=dtype).contiguous(memory_format=memory_format)
    assert_same_derivatives(layer, inputs, 1e-12 if dtype == torch.float64 else 1e-4)


@pytest.mark.parametrize(("memory_format", "dtype"), FORMATS)
@pytest.mark.parametrize("options", [{}, {"momentum": 0.5, "eps": 0.1}], ids=["defaults", "momentum and eps"])
def test_batch_norm_is_torch_s(options, memory_format, dtype):
    layer = norm(**options).to(dtype)
    inputs = (3 * maps(4, 3, 5, 2, dtype=dtype) + 1).contiguous(memory_format=memory_format)
    replaced = assert_same_derivatives(layer, inputs, 1e-12 if dtype == torch.float64 else 1e-4)
    assert int(replaced.num_batches_tracked) == 1
    assert (replaced.running_mean - 0).abs().min() > 0


def test_running_statistics_follow_several_batches_as_torch_s_do():
    layer = norm()
    replaced = fast(layer)
    for seed in range(3):
        inputs = (1 + seed) * maps(4, 3, 2, 2, seed=seed)
        assert torch.equal(replaced(inputs), layer(inputs))
    assert int(replaced.num_batches_tracked) == 3
    for name, value in layer.state_dict().items():
        assert torch.equal(value, replaced.state_dict()[name]), name


@pytest.mark.parametrize("options", LEFT_TO_TORCH.values(), ids=LEFT_TO_TORCH)
def test_other_convolutions_are_left_to_torch(options):
    assert_same_derivatives(convolution(**options), maps(2, 2, 6, 5), 1e-14)


@pytest.mark.parametrize(
    "options",
    [{"momentum": None}, {"track_running_stats": False}, {"affine": False}],
    ids=lambda options: next(iter(options)),
)
def test_other_batch_norms_are_left_to_torch(options):
    assert_same_derivatives(norm(**options), maps(4, 3, 2, 2), 1e-14)


@pytest.mark.parametrize("build", [norm, lambda: convolution(in_channels=3)])
def test_evaluation_and_passes_without_gradient_are_torch_s(build):
    layer, inputs = build(), maps(4, 3, 5, 4)
    replaced = fast(layer)
    with torch.no_grad():
        assert torch.equal(replaced(inputs), layer(inputs))
    for name, value in layer.state_dict().items():
        assert torch.equal(value, replaced.state_dict()[name]), name
    assert_same_derivatives(layer.eval(), inputs, 1e-14)


def test_a_frozen_layer_passes_both_derivatives_on():
    for layer, inputs in ((norm(), maps(4, 3, 2, 2)), (convolution(), maps(2, 2, 6, 5))):
        found = []
        for one in (layer, fast(layer)):
            one.requires_grad_(False)
            x = inputs.clone().requires_grad_()
            (first,) = torch.autograd.grad(one(x).tanh().sum(), x, create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), x)[0])
        assert torch.allclose(found[0], found[1], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (4, 2, 5, 5), (4, 3, 5)], ids=["one value", "channels", "dimensions"])
def test_what_torch_s_batch_norm_refuses_is_refused(shape):
    """A channel of a single value would turn the running variance into NaN; too few weights would be read beyond."""
    layer = norm()
    with pytest.raises((ValueError, RuntimeError)) as expected:
        layer(maps(*shape))
    replaced = fast(layer)
    with pytest.raises(expected.type) as found:
        replaced(maps(*shape))
    assert str(found.value) == str(expected.value)
    assert bool(torch.isfinite(replaced.running_var).all())


@pytest.mark.parametrize("build", [lambda: norm(8), lambda: convolution(in_channels=8)], ids=["norm", "convolution"])
def test_bfloat16_autocast(build):
    """Output as torch's; derivatives no farther from exact ones than torch's are."""
    layer = build().float()
    inputs = maps(8, 8, 6, 5, dtype=torch.float32)
    _, *exact = derivatives(copy.deepcopy(layer).double(), inputs.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inputs = inputs.bfloat16()  # what a layer gets from the one before
        expected, *others = derivatives(layer, inputs)
        found, *own = derivatives(fast(layer), inputs)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert torch.equal(found, expected)
    for order, other, truth in zip(own, others, exact, strict=True):
        for a, b, c in zip(order, other, truth, strict=True):
            assert a.dtype == b.dtype
            assert (a - b).norm() < 0.01 * b.norm()
            assert (a.double() - c).norm() < 1.2 * (b.double() - c).norm()


class OwnNorm(nn.BatchNorm2d):
    """A subclass of one's own."""


def test_preparing_changes_nothing_but_classes():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), OwnNorm(4), InstanceBatchNorm(4), nn.BatchNorm1d(4))
    calls = []
    net[1].register_forward_hook(lambda *_: calls.append("hook"))
    before = {name: tensor.data_ptr() for name, tensor in net.state_dict(keep_vars=True).items() if tensor.numel()}
    layers, parameters = dict(net.named_modules()), dict(net.named_parameters())
    prepare_for_second_order(net)
    prepare_for_second_order(net)
    assert dict(net.named_modules()) == layers
    assert all(parameter is parameters[name] for name, parameter in net.named_parameters())
    assert {name: t.data_ptr() for name, t in net.state_dict(keep_vars=True).items() if t.numel()} == before
    kinds = {name: type(layer) for name, layer in net.named_modules()}
    assert kinds["0"] is Conv2d
    assert kinds["1"] is kinds["3.BN"] is BatchNorm2d
    assert (kinds["2"], kinds["3.IN"], kinds["4"]) == (OwnNorm, nn.InstanceNorm2d, nn.BatchNorm1d)
    net[1](torch.randn(2, 4, 3, 3))
    assert calls == ["hook"]


def test_a_prepared_net_can_be_copied_saved_and_loaded():
    net = small(width=2)
    state = copy.deepcopy(net.state_dict())
    prepare_for_second_order(net)
    copied = copy.deepcopy(net)
    assert type(copied.backbone.bn1) is BatchNorm2d
    assert net.state_dict().keys() == state.keys()
    small(width=2).load_state_dict(net.state_dict())
    net.load_state_dict(state)


@pytest.mark.parametrize("instance_norm", [False, True])
def test_a_net_s_second_derivatives_are_those_of_torch_s_layers(instance_norm):
    torch.manual_seed(0)
    net = small(width=2)
    if instance_norm:
        net.backbone.layer1.bn1 = InstanceBatchNorm(2)
    net, inputs = net.double(), maps(4, 3, 32, 16)
    expected = second_derivative(net, inputs)
    prepare_for_second_order(net)
    found = second_derivative(net, inputs)
    assert (found - expected).norm() < 1e-11 * expected.norm()


def second_derivative(net, inputs):
    """A Hessian-vector product of a loss of the net, as one vector."""
    output = net(inputs).neck
    loss = (output.tanh() * maps(*output.shape, seed=3)).sum()
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    first = torch.autograd.grad(loss, parameters, create_graph=True)
    product = sum((one * maps(*one.shape, seed=4)).sum() for one in first)
    return torch.cat([one.flatten() for one in torch.autograd.grad(product, parameters, materialize_grads=True)])


def test_without_the_values_of_weight_gradients_their_derivatives_stay():
    layer = Conv2d(3, 4, 3, padding=1, bias=False).double()
    maps = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(layer.weight)

    def derivatives(context):
        loss = layer(maps).square().sum()
        with context:
            (gradient,) = torch.autograd.grad(loss, layer.weight, create_graph=True)
        return gradient.detach(), torch.autograd.grad(gradient, (layer.weight, maps), grad_outputs=direction)

    gradient, products = derivatives(nullcontext())
    nothing, same_products = derivatives(without_weight_gradients())
    assert float(gradient.abs().max()) > 1
    assert torch.equal(nothing, torch.zeros_like(gradient))
    for one, other in zip(products, same_products, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(derivatives(nullcontext())[0], gradient)
