"""A step whose loss or gradient is not finite stops the run, or leaves no trace."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgreid.errors import InputError
from dgreid.nonfinite import NonFiniteSteps, gradients_not_finite, not_finite
from dgreid.types import Clock

CLOCK = Clock(step=7, epoch=1, learning_rate=0.25, seed=0)


def test_numbers_are_named():
    assert not_finite({"loss": torch.tensor(1.0), "b": torch.tensor(-3e38)}) == ""
    numbers = {"loss": torch.tensor(math.nan), "loss/a": torch.tensor(2.0), "loss/b": torch.tensor(-math.inf)}
    assert not_finite(numbers) == "loss = nan, loss/b = -inf"


def net_with(*gradients):
    net = nn.ParameterList([nn.Parameter(torch.zeros(2)) for _ in gradients])
    for parameter, gradient in zip(net, gradients, strict=True):
        parameter.grad = gradient if gradient is None else torch.tensor(gradient)
    return net.named_parameters()


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (([0.0, 1.0], None), ""),
        ((None,), ""),
        (([3e38, 3e38], [3e38, -3e38]), ""),  # whose norm is no float
        (([0.0, math.nan], [1.0, 1.0]), "the gradient of 0"),
        (([0.0, 1.0], [math.inf, 1.0], [math.nan, 0.0]), "the gradient of 1, 2"),
        (([math.nan, 0.0],) * 5, "the gradient of 0, 1, 2 and 2 more"),
    ],
)
def test_gradients_are_named_by_parameter(gradients, message):
    assert gradients_not_finite(net_with(*gradients)) == message


def test_stopping_says_where_why_and_what_is_left():
    steps = NonFiniteSteps("stop")
    with pytest.raises(InputError, match=r"at step 7 \(epoch 1, .* 0.25\): loss = nan; the last .* is x.ckpt"):
        steps.refuse("loss = nan", CLOCK, "x.ckpt")
    with pytest.raises(InputError, match=r"0.25\): loss = nan. Lower the learning rate.*on_nonfinite=skip"):
        steps.refuse("loss = nan", CLOCK, "")


def test_skipping_takes_running_statistics_back_and_counts():
    net, steps = nn.BatchNorm1d(2), NonFiniteSteps("skip")
    net(torch.randn(4, 2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    steps.begin(net)
    net(torch.full((4, 2), math.nan))
    steps.refuse("loss = nan", CLOCK, "")
    assert steps.skipped == 1
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_ten_in_a_row_stop():
    steps = NonFiniteSteps("skip")
    for _ in range(9):
        steps.refuse("loss = nan", CLOCK, "")
    steps.well()
    for _ in range(9):
        steps.refuse("loss = nan", CLOCK, "")
    with pytest.raises(InputError, match="at step 7, the 10th step in a row"):
        steps.refuse("loss = nan", CLOCK, "")
    assert steps.skipped == 18
