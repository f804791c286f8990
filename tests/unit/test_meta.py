"""The inner step, MetaBN and deposited gradients, each against its text one scalar at a time."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from dgreid.meta import InnerStep, batch_statistics, metabn

MAGNITUDES = [0.0, 1e-9, -1e-6, 3e-3, -3e-3, 0.1, -1.0, 1e3, -1e6]


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def first_step_of_adam(parameter, gradient, learning_rate, weight_decay):
    """The release's loop on one number: Adam from zero state, 1e-8 inside the second moment."""
    gradient += weight_decay * parameter
    exp_avg = 0.9 * 0.0 + 0.1 * gradient
    exp_avg_sq = 0.999 * 0.0 + 0.001 * gradient * gradient + 1e-8
    denominator = math.sqrt(exp_avg_sq) / math.sqrt(0.001) + 1e-8
    return parameter - learning_rate / 0.1 * exp_avg / denominator


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    parameter=st.floats(-10, 10),
    gradient=st.one_of(st.sampled_from(MAGNITUDES), st.floats(-1e-2, 1e-2), st.floats(-1e4, 1e4)),
    learning_rate=st.sampled_from([3.5e-6, 3.5e-4, 0.1]),
    weight_decay=st.sampled_from([0.0, 5e-4, 0.1]),
)
def test_the_inner_step_is_the_release_s_adam(parameter, gradient, learning_rate, weight_decay):
    tensors = (torch.tensor([value], dtype=torch.float64) for value in (parameter, gradient))
    found = float(InnerStep(learning_rate, weight_decay)(*tensors))
    expected = first_step_of_adam(parameter, gradient, learning_rate, weight_decay)
    assert found - parameter == pytest.approx(expected - parameter, rel=1e-9, abs=1e-14)
    assert abs(found - parameter) <= learning_rate * (1 + 1e-9) + 1e-14


def test_large_gradients_step_as_torch_s_adam_does():
    """There the release's 1e-8 is lost: the two differ by 5e-6 / g^2 of the learning rate."""
    gradient = normal(50).sign() * torch.linspace(3, 50, 50, dtype=torch.float64)
    parameter = normal(50, seed=1).requires_grad_()
    before = parameter.detach().clone()
    parameter.grad = gradient.clone()
    torch.optim.Adam([parameter], lr=0.01, weight_decay=0.1).step()
    assert torch.allclose(InnerStep(0.01, 0.1)(before, gradient), parameter.detach(), rtol=0, atol=0.01 * 1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 5e-4, 0.2])
def test_the_slope_is_the_step_s_derivative(weight_decay):
    step = InnerStep(0.01, weight_decay)
    gradient = torch.tensor(MAGNITUDES, dtype=torch.float64, requires_grad=True)
    parameter = normal(len(MAGNITUDES)).requires_grad_()
    slope = step.slope(parameter.detach(), gradient.detach())
    by_parameter, by_gradient = torch.autograd.grad(step(parameter, gradient).sum(), (parameter, gradient))
    # Autograd takes the small difference of two large numbers where the gradient is large.
    assert torch.allclose(by_gradient, -0.01 * slope, rtol=1e-6, atol=1e-15)
    assert torch.allclose(by_parameter, 1 - 0.01 * weight_decay * slope, rtol=1e-12)


def test_the_slope_is_the_finite_difference():
    step, nudge = InnerStep(1.0, 0.0), 1e-6
    parameter, gradient = torch.zeros(201, dtype=torch.float64), torch.linspace(-0.02, 0.02, 201, dtype=torch.float64)
    difference = (step(parameter, gradient - nudge) - step(parameter, gradient + nudge)) / (2 * nudge)
    assert torch.allclose(step.slope(parameter, gradient), difference, rtol=1e-6)


def test_without_a_gradient_nothing_moves_and_the_slope_is_largest():
    step, zero = InnerStep(0.01, 0.0), torch.zeros(1, dtype=torch.float64)
    assert float(step(zero + 2, zero)) == 2
    assert float(step.slope(zero + 2, zero)) == pytest.approx(1 / (math.sqrt(1e-5) + 1e-8), rel=1e-12)
    assert float(step.slope(zero + 2, zero)) < 316.3


def test_the_inner_step_is_twice_differentiable_around_zero():
    inputs = (normal(5).requires_grad_(), (1e-3 * torch.arange(-2.0, 3, dtype=torch.float64)).requires_grad_())
    assert gradcheck(InnerStep(0.1, 5e-4), inputs, eps=1e-8, atol=1e-6)
    assert gradgradcheck(InnerStep(0.1, 5e-4), inputs, eps=1e-8, atol=1e-3)


class MetaBNProblem:
    """Two meta-train domains, five images of the meta-test domain, three channels; one channel has variance 0."""

    features = normal(5, 3) * 2 + 1
    statistics = tuple(
        (normal(3, seed=k), torch.tensor([0.5, 4.0, 0.0], dtype=torch.float64) * (1 + k)) for k in range(2)
    )
    normals = tuple(normal(5, 3, seed=10 + k) for k in range(2))
    neck = (1 + 0.1 * normal(3, seed=20), 0.1 * normal(3, seed=21))

    @classmethod
    def outputs(cls, weight, scale, features=None, normals=None, neck=None):
        features = cls.features if features is None else features
        return metabn(features, cls.statistics, normals or cls.normals, weight, scale, neck or cls.neck, 1e-5)


def looped_output(features, mean, variance, draws, weight, scale, neck_weight, neck_bias):
    """One channel of one meta-train domain, in plain numbers."""
    spread = math.sqrt(variance) if scale == "std" else variance
    mixed = [weight * (mean + spread * draw) + (1 - weight) * x for x, draw in zip(features, draws, strict=True)]
    middle = sum(mixed) / len(mixed)
    variance = sum((x - middle) ** 2 for x in mixed) / len(mixed)
    return [(x - middle) / math.sqrt(variance + 1e-5) * neck_weight + neck_bias for x in mixed]


@pytest.mark.parametrize("scale", ["std", "variance"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9])
def test_metabn_is_the_loop(weight, scale):
    problem, found = MetaBNProblem, MetaBNProblem.outputs(weight, scale)
    assert len(found) == 2
    for output, (mean, variance), draws in zip(found, problem.statistics, problem.normals, strict=True):
        for channel in range(3):
            columns = (tensor[:, channel].tolist() for tensor in (problem.features, draws))
            scalars = (float(tensor[channel]) for tensor in (mean, variance, *problem.neck))
            features, drawn = columns
            center, spread, neck_weight, neck_bias = scalars
            expected = looped_output(features, center, spread, drawn, weight, scale, neck_weight, neck_bias)
            assert output[:, channel].tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_scales_differ():
    one, other = (MetaBNProblem.outputs(0.5, scale)[0] for scale in ("std", "variance"))
    assert (one[:, :2] - other[:, :2]).abs().amax(dim=0).min() > 0.1
    assert torch.equal(one[:, 2], other[:, 2])  # a variance of 0


@pytest.mark.parametrize("scale", ["std", "variance"])
def test_metabn_is_twice_differentiable(scale):
    inputs = [tensor.clone().requires_grad_() for tensor in (MetaBNProblem.features, *MetaBNProblem.neck)]

    def outputs(features, *neck):
        return tuple(MetaBNProblem.outputs(0.4, scale, features=features, neck=neck))

    assert gradcheck(outputs, inputs)
    assert gradgradcheck(outputs, inputs)


def test_the_gradient_shrinks_with_the_weight_of_the_samples():
    """All of a batch drawn: nothing of the features is left, and no gradient."""
    features = MetaBNProblem.features.clone().requires_grad_()
    output = MetaBNProblem.outputs(1.0, "std", features=features)[0]
    (gradient,) = torch.autograd.grad(output.square().sum(), features)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_statistics_are_biased_and_carry_no_gradient():
    features = MetaBNProblem.features.clone().requires_grad_()
    mean, variance = batch_statistics(features)
    assert not mean.requires_grad
    assert not variance.requires_grad
    for channel in range(3):
        values = features[:, channel].tolist()
        middle = sum(values) / 5
        assert float(mean[channel]) == pytest.approx(middle, rel=1e-12)
        assert float(variance[channel]) == pytest.approx(sum((x - middle) ** 2 for x in values) / 5, rel=1e-12)


@pytest.mark.parametrize("scale", ["std", "variance"])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_variances_of_exactly_0_are_finite_to_the_second_derivative(weight, scale):
    """Equal features everywhere: statistics have variance 0, and with weight 0 so has what is normalised."""
    features = torch.full((4, 3), 0.7, dtype=torch.float64, requires_grad=True)
    statistics = [batch_statistics(features)]
    assert torch.equal(statistics[0][1], torch.zeros(3, dtype=torch.float64))
    (output,) = metabn(features, statistics, [normal(4, 3)], weight, scale, MetaBNProblem.neck, 1e-5)
    assert torch.allclose(output, MetaBNProblem.neck[1].expand(4, 3), rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad((output * normal(4, 3, seed=3)).sum(), features, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), features)
    assert bool(torch.isfinite(gradient).all())
    assert bool(torch.isfinite(second).all())
