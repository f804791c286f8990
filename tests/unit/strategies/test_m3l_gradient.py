"""M3L's gradient against finite differences of its whole objective, on a net without kinks."""

import m3l_problem
import pytest
import torch
from m3l_problem import prepared
from slow_m3l import SlowM3L
from small_problem import clock
from torch import nn

from dgreid.nets.reid import ReIDNet

NUDGE = 1e-5


def smooth_net():
    """Softplus and average pooling: the objective is smooth but for hardest examples, which are far from changing."""
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.Softplus(),
        nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.Softplus(),
    )  # fmt: skip
    return ReIDNet(backbone, 8, "trainable").double().train()


class Objective:
    """L_train(theta) + L_test(theta') from slow first-order passes, at any weights.

    MetaBN's statistics of the meta-train domains stay those at theta: draws carry no gradient.
    """

    def __init__(self, sources, **options):
        self.slow = SlowM3L(smooth_net(), sources, **options)
        self.theta = {name: value.detach() for name, value in self.slow.theta().items()}
        self.statistics = self.slow.meta_train(self.theta, 0, kept=nothing)[1]
        self.step = {name: value - self.theta[name] for name, value in self.moved(self.theta, self.theta).items()}

    def moved(self, start, at):
        leaves = {name: value.detach().requires_grad_() for name, value in at.items()}
        loss, _ = self.slow.meta_train(leaves, 0, kept=nothing)
        return {
            name: value.detach() for name, value in self.slow.moved(start, leaves, loss, create_graph=False).items()
        }

    def meta_train(self, at):
        with torch.no_grad():
            return float(self.slow.meta_train(at, 0, kept=nothing)[0])

    def meta_test(self, moved):
        with torch.no_grad():
            return float(self.slow.meta_test(moved, self.statistics, 0))

    def full(self, at):
        return self.meta_train(at) + self.meta_test(self.moved(at, at))

    def second_order_only(self, at):
        """theta' starts where theta was."""
        return self.meta_train(at) + self.meta_test(self.moved(self.theta, at))

    def first_order(self, at):
        """theta' is theta and a constant."""
        return self.meta_train(at) + self.meta_test({name: value + self.step[name] for name, value in at.items()})

    def slope(self, variant, direction):
        """Fourth-order central difference at theta."""
        function = getattr(self, variant)

        def central(nudge):
            ahead, behind = (
                function({name: value + sign * nudge * direction[name] for name, value in self.theta.items()})
                for sign in (1, -1)
            )
            return (ahead - behind) / (2 * nudge)

        return (4 * central(NUDGE) - central(2 * NUDGE)) / 3


def nothing(buffer):
    return False


def direction_like(theta, seed):
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: torch.randn(value.shape, dtype=value.dtype, generator=generator) for name, value in theta.items()}
    length = torch.cat([one.flatten() for one in drawn.values()]).norm()
    return {name: one / length for name, one in drawn.items()}


def gradients(sources, **options):
    """By name, as the strategy deposits them."""
    strategy, net = prepared(sources, smooth_net(), **options)
    strategy.loss(net, m3l_problem.batches(0, sources), clock(0)).loss.backward()
    return {name: value.grad for name, value in net.named_parameters()}


def along(gradient, direction):
    return float(sum((gradient[name] * direction[name]).sum() for name in direction))


@pytest.mark.parametrize("sources", [2, 3, 4])
def test_the_gradient_is_the_finite_difference_of_the_objective(sources):
    objective = Objective(sources)
    found = {
        (variant, hypergradient): gradients(sources, outer_gradient=variant, hypergradient=hypergradient)
        for variant in ("full", "second_order_only")
        for hypergradient in ("graph", "hvp")
    }
    for seed in range(2):
        direction = direction_like(objective.theta, seed)
        expected = {variant: objective.slope(variant, direction) for variant in ("full", "second_order_only")}
        for (variant, _), gradient in found.items():
            assert along(gradient, direction) == pytest.approx(expected[variant], rel=1e-6)
        assert expected["second_order_only"] != pytest.approx(expected["full"], rel=0.05)


@pytest.mark.parametrize(
    "options",
    [
        {"metabn_scale": "variance"},
        {"inner_learning_rate": 3e-4, "inner_weight_decay": 0.3},
        {"temperature": 0.5, "margin": 2.0},
    ],
)
def test_the_gradient_is_the_finite_difference_with_other_options(options):
    objective = Objective(3, **options)
    direction = direction_like(objective.theta, seed=5)
    expected = objective.slope("full", direction)
    for hypergradient in ("graph", "hvp"):
        found = gradients(3, hypergradient=hypergradient, **options)
        assert along(found, direction) == pytest.approx(expected, rel=1e-6)


def test_first_order_is_the_finite_difference_with_a_constant_step():
    """And so the meta-train gradient and the meta-test gradient at theta', added."""
    objective, found = Objective(3), gradients(3, order="first")
    for seed in range(2):
        direction = direction_like(objective.theta, seed)
        expected = objective.slope("first_order", direction)
        assert along(found, direction) == pytest.approx(expected, rel=1e-7)
        assert objective.slope("full", direction) != pytest.approx(expected, rel=0.05)
    leaves = {name: value.clone().requires_grad_() for name, value in objective.theta.items()}
    train, statistics = objective.slow.meta_train(leaves, 0, kept=nothing)
    added = dict(zip(leaves, torch.autograd.grad(train, list(leaves.values())), strict=True))
    moved = {name: (value + objective.step[name]).detach().requires_grad_() for name, value in leaves.items()}
    test = objective.slow.meta_test(moved, statistics, 0)
    for (name, one), gradient in zip(added.items(), torch.autograd.grad(test, list(moved.values())), strict=True):
        assert torch.allclose(found[name], one + gradient, rtol=1e-9, atol=1e-12)
