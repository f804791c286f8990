"""Gradients through an inner step: of L_train(theta) + L_test(theta'(theta)), with theta' = theta - step(dL_train)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dgreid.gradients import grad
from dgreid.meta import InnerStep
from dgreid.nets.convolution import without_weight_gradients

Parameters = dict[str, Tensor]
MetaTestLoss = Callable[[Parameters], Tensor]


class MetaTrainLoss(Protocol):
    """Loss of one meta-train domain as a function of the net's parameters."""

    def __call__(self, parameters: Parameters, again: bool = False) -> Tensor:
        """A scalar; ``again`` repeats an earlier call exactly, and must leave running statistics alone."""


class Problem(NamedTuple):
    """The objective mean L_train(theta) + L_test(theta'), at one theta.

    Attributes:
        parameters: theta by name, leaves that require a gradient.
        meta_train: the meta-train domains' losses.
        meta_test: the meta-test loss as a function of theta'.
        inner: makes theta' of theta and the gradient of the mean meta-train loss.
        identity_path: whether theta' counts as a function of theta directly too, not of its gradient alone.
        average: mean of gradients over the processes that take one inner step together, differentiable; the objective
            then is the mean of theirs, of whose gradient each process has what its own losses contribute.
    """

    parameters: Parameters
    meta_train: Sequence[MetaTrainLoss]
    meta_test: MetaTestLoss
    inner: InnerStep
    identity_path: bool = True
    average: Callable[[Sequence[Tensor]], Sequence[Tensor]] = list

    def averaged(self, gradient: Parameters) -> Parameters:
        """A gradient, by name, as the inner step takes it."""
        return dict(zip(gradient, self.average(list(gradient.values())), strict=True))


class Hypergradient(NamedTuple):
    """What an outer step needs.

    Attributes:
        meta_train: mean of the meta-train losses, detached.
        meta_test: the meta-test loss, detached.
        meta_train_gradient: of the mean meta-train loss alone, by name; parameters that it does not reach are absent.
        gradient: of the whole objective, by name.
    """

    meta_train: Tensor
    meta_test: Tensor
    meta_train_gradient: Parameters
    gradient: Parameters

    def scalars(self) -> dict[str, Tensor]:
        """Norms of the meta-train gradient and of what the meta-test loss adds to it, and their cosine.

        The cosine is 0 where one of them is.
        """
        pairs = [(one, self.gradient[name] - one) for name, one in self.meta_train_gradient.items()]
        products = torch.stack([(one * added).sum() for one, added in pairs]).sum()
        norms = [torch.stack([part.norm() for part in parts]).norm() for parts in zip(*pairs, strict=True)]
        return {
            "gradient/cosine": products / (norms[0] * norms[1]).clamp(min=torch.finfo(products.dtype).tiny),
            "gradient/meta_train_norm": norms[0],
            "gradient/meta_test_norm": norms[1],
        }


Method = Callable[[Problem], Hypergradient]


def by_graph(problem: Problem) -> Hypergradient:
    """One graph from theta over its gradient and theta' to both losses, differentiated by autograd alone."""
    parameters = problem.parameters
    train = torch.stack([loss(parameters) for loss in problem.meta_train]).mean()
    own_gradient = _reached(parameters, grad(train, _leaves(parameters), create_graph=True, allow_unused=True))
    train_gradient = problem.averaged(own_gradient)
    start = parameters if problem.identity_path else {name: value.detach() for name, value in parameters.items()}
    moved = {name: problem.inner(start[name], gradient) for name, gradient in train_gradient.items()}
    test = problem.meta_test({**parameters, **moved})
    reached = [parameters[name] for name in train_gradient]
    total = grad(train + test, reached)
    return Hypergradient(
        train.detach(),
        test.detach(),
        {name: gradient.detach() for name, gradient in train_gradient.items()},
        dict(zip(train_gradient, total, strict=True)),
    )


def first_order(problem: Problem) -> Hypergradient:
    """The inner step counts as a constant: dL_train(theta) + dL_test(theta'), whatever ``identity_path`` says."""
    passes = _first_order_passes(problem)
    total = {name: passes.train_gradient[name] + part for name, part in passes.test_gradient.items()}
    return Hypergradient(passes.meta_train, passes.meta_test, passes.train_gradient, total)


def by_products(problem: Problem) -> Hypergradient:
    """The same gradient as :func:`by_graph` from first-order passes and Hessian-vector products.

    With v = dL_test/dtheta', D the slope of the inner step, H the Hessian of the mean meta-train loss, eta and lambda
    the inner learning rate and weight decay: dL_train - eta * H (D v), and with the identity path
    + (1 - eta * lambda * D) v. Each meta-train domain is passed twice, its graph alone in memory.
    """
    inner, passes = problem.inner, _first_order_passes(problem)
    test_gradients = problem.averaged(passes.test_gradient)
    passes.test_gradient.clear()  # each is as large as the net
    total, direction = {}, {}
    for name, gradient in passes.train_gradient.items():
        test_gradient = test_gradients.pop(name)
        weighted = inner.slope(problem.parameters[name].detach(), gradient) * test_gradient
        direct = test_gradient - inner.learning_rate * inner.weight_decay * weighted
        total[name] = gradient + direct if problem.identity_path else gradient.clone()
        direction[name] = weighted.mul_(-inner.learning_rate / len(problem.meta_train))
    for loss in problem.meta_train:
        for name, product in hessian_vector_product(loss, problem.parameters, direction).items():
            total[name] += product
    return Hypergradient(passes.meta_train, passes.meta_test, passes.train_gradient, total)


class _Passes(NamedTuple):
    meta_train: Tensor
    meta_test: Tensor
    train_gradient: Parameters  # at theta
    test_gradient: Parameters  # at theta'


def _first_order_passes(problem: Problem) -> _Passes:
    """Both losses with the gradient of each at its own parameters; one domain's graph at a time."""
    parameters, domains = problem.parameters, len(problem.meta_train)
    train = torch.zeros(())
    train_gradient: Parameters = {}
    for loss in problem.meta_train:
        value = loss(parameters) / domains
        share = _reached(parameters, grad(value, _leaves(parameters), allow_unused=True))
        train = train.to(value) + value.detach()
        del value  # and with it the graph
        for name, part in share.items():
            train_gradient[name] = train_gradient[name] + part if name in train_gradient else part
    train_gradient = problem.averaged(train_gradient)
    moved = {name: problem.inner(parameters[name].detach(), gradient) for name, gradient in train_gradient.items()}
    moved = {name: value.requires_grad_() for name, value in moved.items()}
    test = problem.meta_test({**parameters, **moved})
    test_gradient = dict(zip(moved, grad(test, list(moved.values()), materialize_grads=True), strict=True))
    return _Passes(train, test.detach(), train_gradient, test_gradient)


def hessian_vector_product(loss: MetaTrainLoss, parameters: Parameters, direction: Parameters) -> Parameters:
    """Second derivative of a loss in a direction; zero where the loss is linear.

    Args:
        loss: called ``again``.
        parameters: leaves, by name.
        direction: by name, in their shapes; parameters that are absent count as fixed.
    """
    reached = [parameters[name] for name in direction]
    value = loss(parameters, again=True)
    with without_weight_gradients():
        gradients = grad(value, reached, create_graph=True, materialize_grads=True)
    pairs = [(one, along) for one, along in zip(gradients, direction.values(), strict=True) if one.requires_grad]
    if not pairs:
        return {}
    outputs, along = zip(*pairs, strict=True)
    products = grad(outputs, reached, grad_outputs=along, materialize_grads=True)
    return dict(zip(direction, products, strict=True))


def _leaves(parameters: Parameters) -> list[Tensor]:
    return list(parameters.values())


def _reached(parameters: Parameters, gradients: Sequence[Tensor | None]) -> Parameters:
    """Gradients by name, without the parameters that a loss does not depend on."""
    return {name: one for name, one in zip(parameters, gradients, strict=True) if one is not None}
