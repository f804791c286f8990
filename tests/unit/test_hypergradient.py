"""Gradients through an inner step, against finite differences of the whole objective on smooth losses."""

import pytest
import torch

from dgreid.hypergradient import Problem, by_graph, by_products, first_order, hessian_vector_product
from dgreid.meta import InnerStep

SECOND_ORDER = [by_graph, by_products]
INNER = InnerStep(learning_rate=0.05, weight_decay=0.01)
NUDGE = 1e-5
SCALE = 0.02  # brings gradients to where the inner step is neither linear nor a sign


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def parameters():
    """A net of one hidden layer, and a factor in which the losses are linear."""
    shapes = {"hidden": (3, 4), "bias": (4,), "out": (4,), "factor": ()}
    return {name: normal(*shape, seed=seed).requires_grad_() for seed, (name, shape) in enumerate(shapes.items())}


class SmoothLoss:
    """Mean squared output of a tanh net on data of its own, times the factor; counts how it is called."""

    def __init__(self, seed, offset=0.5):
        self.inputs, self.offset = normal(6, 3, seed=seed), offset
        self.calls = []

    def __call__(self, parameters, again=False):
        self.calls.append(again)
        hidden = torch.tanh(self.inputs @ parameters["hidden"] + parameters["bias"])
        fit = (hidden @ parameters["out"] - self.offset).square().mean()
        return SCALE * (fit + parameters["factor"] * hidden.mean())


def meta_train(domains=2):
    return [SmoothLoss(seed=100 + k) for k in range(domains)]


META_TEST = SmoothLoss(seed=200, offset=-1.0)


def mean_loss(losses, parameters):
    return sum(loss(parameters) for loss in losses) / len(losses)


def first_derivative(losses, parameters):
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    return dict(zip(leaves, torch.autograd.grad(mean_loss(losses, leaves), list(leaves.values())), strict=True))


def objective(losses, at, start=None, gradient=None):
    """L_train(at) + L_test(theta'); of theta' the start and the gradient may stay behind at other parameters."""
    gradient = gradient or first_derivative(losses, at)
    start = start or at
    moved = {name: INNER(start[name].detach(), gradient[name]) for name in at}
    with torch.no_grad():
        return float(mean_loss(losses, at) + META_TEST(moved))


def directions(like, count=3):
    for seed in range(count):
        drawn = {name: normal(*value.shape, seed=300 + 10 * seed + k) for k, (name, value) in enumerate(like.items())}
        length = torch.cat([one.flatten() for one in drawn.values()]).norm()
        yield {name: one / length for name, one in drawn.items()}


def slope_along(function, at, direction):
    """Fourth-order central difference."""

    def central(nudge):
        ahead, behind = (
            function({name: value.detach() + sign * nudge * direction[name] for name, value in at.items()})
            for sign in (1, -1)
        )
        return (ahead - behind) / (2 * nudge)

    return (4 * central(NUDGE) - central(2 * NUDGE)) / 3


def along(gradient, direction):
    return float(sum((gradient[name] * direction[name]).sum() for name in gradient))


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors.values()])


@pytest.mark.parametrize("domains", [1, 2, 3])
@pytest.mark.parametrize("method", SECOND_ORDER)
def test_the_gradient_is_the_finite_difference_of_the_objective(method, domains):
    losses, theta = meta_train(domains), parameters()
    found = method(Problem(theta, losses, META_TEST, INNER))
    without = method(Problem(theta, losses, META_TEST, INNER, False))
    for direction in directions(theta):
        whole = slope_along(lambda at: objective(losses, at), theta, direction)
        frozen = slope_along(lambda at: objective(losses, at, start=theta), theta, direction)
        assert along(found.gradient, direction) == pytest.approx(whole, rel=1e-6)
        assert along(without.gradient, direction) == pytest.approx(frozen, rel=1e-6)
        assert abs(whole - frozen) > 1e-2 * abs(whole)


def test_first_order_is_the_finite_difference_with_a_constant_step():
    losses, theta = meta_train(), parameters()
    found = first_order(Problem(theta, losses, META_TEST, INNER))
    step = {name: INNER(value.detach(), gradient) - value.detach() for (name, value), gradient in zip(
        theta.items(), first_derivative(losses, theta).values(), strict=True)}  # fmt: skip

    def with_constant_step(at):
        with torch.no_grad():
            moved = {name: value + step[name] for name, value in at.items()}
            return float(mean_loss(losses, at) + META_TEST(moved))

    second = by_graph(Problem(theta, losses, META_TEST, INNER))
    for direction in directions(theta):
        expected = slope_along(with_constant_step, theta, direction)
        assert along(found.gradient, direction) == pytest.approx(expected, rel=1e-8)
        assert along(second.gradient, direction) != pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("identity_path", [True, False])
@pytest.mark.parametrize("inner", [INNER, InnerStep(3.5e-4, 0.0), InnerStep(1.0, 0.5)])
@pytest.mark.parametrize("domains", [1, 2, 3])
def test_products_are_the_graph(domains, inner, identity_path):
    theta, losses = parameters(), meta_train(domains)
    one, other = (method(Problem(theta, losses, META_TEST, inner, identity_path)) for method in SECOND_ORDER)
    assert one.gradient.keys() == other.gradient.keys()
    assert (flat(one.gradient) - flat(other.gradient)).norm() < 1e-12 * flat(one.gradient).norm()
    assert torch.allclose(flat(one.meta_train_gradient), flat(other.meta_train_gradient), rtol=1e-12)
    assert float(one.meta_train) == pytest.approx(float(other.meta_train), rel=1e-14)
    assert float(one.meta_test) == pytest.approx(float(other.meta_test), rel=1e-14)


@pytest.mark.parametrize("method", [*SECOND_ORDER, first_order])
def test_losses_and_the_meta_train_gradient_come_along_without_graph(method):
    theta, losses = parameters(), meta_train(3)
    before = flat(theta).clone()
    found = method(Problem(theta, losses, META_TEST, INNER))
    gradient = first_derivative(losses, theta)
    moved = {name: INNER(theta[name].detach(), gradient[name]) for name in theta}
    assert float(found.meta_train) == pytest.approx(mean_loss(losses, theta).item(), rel=1e-14)
    assert float(found.meta_test) == pytest.approx(META_TEST(moved).item(), rel=1e-12)
    assert torch.allclose(flat(found.meta_train_gradient), flat(gradient), rtol=1e-12)
    tensors = [found.meta_train, found.meta_test, *found.gradient.values(), *found.meta_train_gradient.values()]
    assert not any(tensor.requires_grad for tensor in tensors)
    assert all(value.grad is None for value in theta.values())
    assert torch.equal(flat(theta), before)


@pytest.mark.parametrize(
    ("method", "passes"), [(by_graph, [False]), (by_products, [False, True]), (first_order, [False])]
)
def test_only_products_pass_a_domain_again_and_say_so(method, passes):
    losses = meta_train(3)
    method(Problem(parameters(), losses, META_TEST, INNER))
    assert [loss.calls for loss in losses] == [passes] * 3


def test_the_product_is_that_of_the_whole_hessian():
    loss, theta = SmoothLoss(seed=7), parameters()
    names, shapes = list(theta), [value.shape for value in theta.values()]
    sizes = [shape.numel() for shape in shapes]

    def of_vector(vector):
        parts = [part.reshape(shape) for part, shape in zip(vector.split(sizes), shapes, strict=True)]
        return loss(dict(zip(names, parts, strict=True)))

    hessian = torch.autograd.functional.hessian(of_vector, flat(theta))
    for direction in directions(theta):
        found = flat(hessian_vector_product(loss, theta, direction))
        expected = hessian @ flat(direction)
        assert (found - expected).norm() < 1e-10 * expected.norm()


def test_a_direction_of_some_parameters_keeps_the_others_fixed():
    loss, theta = SmoothLoss(seed=7), parameters()
    (direction,) = directions(theta, count=1)
    part = {"bias": direction["bias"]}
    padded = {name: one if name == "bias" else torch.zeros_like(one) for name, one in direction.items()}
    found, expected = (hessian_vector_product(loss, theta, along) for along in (part, padded))
    assert found.keys() == {"bias"}
    assert torch.allclose(found["bias"], expected["bias"], rtol=1e-12)


def linear(parameters, again=False):
    return 2 * parameters["factor"] + 3 * parameters["bias"].sum()


@pytest.mark.parametrize("identity_path", [True, False])
@pytest.mark.parametrize("method", SECOND_ORDER)
def test_a_linear_meta_train_loss_has_no_second_order_term(method, identity_path):
    theta = parameters()
    theta = {name: theta[name] for name in ("factor", "bias")}
    assert hessian_vector_product(linear, theta, {name: torch.ones_like(value) for name, value in theta.items()}) == {}

    def meta_test(moved):
        return moved["factor"].square() + moved["bias"].pow(3).sum()

    inner = InnerStep(0.1, 0.0)
    found = method(Problem(theta, [linear], meta_test, inner, identity_path))
    factor, bias = theta["factor"].item(), theta["bias"].detach()
    moved_factor, moved_bias = factor - 0.1 * 2 / (4 + 1e-5) ** 0.5, bias - 0.1 * 3 / (9 + 1e-5) ** 0.5
    assert float(found.gradient["factor"]) == pytest.approx(2 + identity_path * 2 * moved_factor, rel=1e-8)
    assert torch.allclose(found.gradient["bias"], 3 + identity_path * 3 * moved_bias.square(), rtol=1e-7)


@pytest.mark.parametrize("method", [*SECOND_ORDER, first_order])
def test_parameters_that_no_loss_reaches_are_absent(method):
    theta = parameters() | {"idle": torch.ones(2, dtype=torch.float64, requires_grad=True)}
    found = method(Problem(theta, meta_train(), META_TEST, INNER))
    assert found.gradient.keys() == found.meta_train_gradient.keys() == parameters().keys()
    expected = method(Problem(parameters(), meta_train(), META_TEST, INNER))
    assert torch.equal(flat(found.gradient), flat(expected.gradient))


@pytest.mark.parametrize("identity_path", [True, False])
@pytest.mark.parametrize("method", SECOND_ORDER)
def test_a_parameter_of_one_meta_train_domain_alone(method, identity_path):
    """It has its share of the mean, and a second-order term wherever the other parameters' step depends on it."""
    theta = parameters() | {"own": torch.tensor(0.7, dtype=torch.float64, requires_grad=True)}
    first, second = meta_train()

    def with_own(at, again=False):
        return first(at) * torch.cos(at["own"])

    found = method(Problem(theta, [with_own, second], META_TEST, INNER, identity_path)).gradient
    derivative = first_derivative([with_own, second], theta)

    def whole(at):
        start = at if identity_path else theta
        gradient = first_derivative([with_own, second], at)
        with torch.no_grad():
            moved = {name: INNER(start[name], gradient[name]) for name in at}
            return float(mean_loss([with_own, second], at) + META_TEST(moved))

    along_own = {name: torch.zeros_like(value) for name, value in theta.items()} | {"own": torch.ones(()).double()}
    assert float(found["own"]) == pytest.approx(slope_along(whole, theta, along_own), rel=1e-6)
    assert float(found["own"]) != pytest.approx(float(derivative["own"]), rel=1e-4)


@pytest.mark.parametrize("power", [2, 4])
@pytest.mark.parametrize("method", [*SECOND_ORDER, first_order])
def test_a_meta_train_gradient_of_0(method, power):
    """At the minimum of |w|^power theta' is theta; for power 2 the Hessian is 2, and the slope at its largest."""
    theta = {"w": torch.zeros(3, dtype=torch.float64, requires_grad=True)}
    toward = normal(3)
    inner = InnerStep(1e-3, 0.0)
    losses = [lambda at, again=False: at["w"].pow(power).sum()]
    found = method(Problem(theta, losses, lambda at: (at["w"] * toward).sum(), inner))
    curvature = 2.0 if power == 2 and method is not first_order else 0.0
    expected = toward * (1 - 1e-3 * curvature / (1e-5**0.5 + 1e-8))
    assert torch.allclose(found.gradient["w"], expected, rtol=1e-10)
    scalars = found.scalars()
    assert float(scalars["gradient/cosine"]) == 0
    assert float(scalars["gradient/meta_train_norm"]) == 0
    assert float(scalars["gradient/meta_test_norm"]) == pytest.approx(float(expected.norm()), rel=1e-12)


@pytest.mark.parametrize("identity_path", [True, False])
def test_scalars_are_norms_and_cosine_of_the_two_parts(identity_path):
    found = by_graph(Problem(parameters(), meta_train(), META_TEST, INNER, identity_path))
    train = flat(found.meta_train_gradient)
    test = flat(found.gradient) - train
    scalars = {name: float(value) for name, value in found.scalars().items()}
    assert scalars == pytest.approx(
        {
            "gradient/cosine": float(train @ test / (train.norm() * test.norm())),
            "gradient/meta_train_norm": float(train.norm()),
            "gradient/meta_test_norm": float(test.norm()),
        },
        rel=1e-10,
    )
