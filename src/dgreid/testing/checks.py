"""What a strategy promises within one process; each check is a function of a problem that raises ``CheckError``."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from dgreid.errors import InputError
from dgreid.strategies.base import TrainingStrategy
from dgreid.testing.failures import CheckError, require, some
from dgreid.testing.problem import Problem
from dgreid.testing.training import Numbers, Training
from dgreid.types import StepResult

UNIT = 1e-6


def result(problem: Problem) -> None:
    """``loss`` gives a finite scalar, and detached numbers and embeddings."""
    require(isinstance(problem.make_strategy(), TrainingStrategy), "it is no subclass of dgreid.TrainingStrategy")
    require(problem.make_strategy() is not problem.make_strategy(), "each call must make a new strategy")
    training = Training(problem).start()
    found = training.loss(0)
    require(isinstance(found, StepResult), f"loss returns {type(found).__name__}; it must return a dgreid.StepResult")
    require(found.loss.shape == () and bool(found.loss.isfinite()), f"the loss must be one finite number: {found.loss}")
    for name, value in found.scalars.items():
        number = torch.as_tensor(value)
        require(number.numel() == 1, f"scalars[{name!r}] has {number.numel()} numbers; what is logged is one number")
        require(not number.requires_grad, f"scalars[{name!r}] keeps the graph in memory: detach it")
    for name, rows in found.embeddings.items():
        require(not rows.requires_grad, f"embeddings[{name!r}] keeps the graph in memory: detach it")


def gradient(problem: Problem) -> None:
    """The loss's backward reaches the net and all that the strategy has the optimizer move."""
    training = Training(problem).start()
    names = {id(parameter): name for name, parameter in training.module.named_parameters()}
    moved = training.parameters
    require(bool(moved), "parameter_groups gives no parameter: nothing would be trained")
    require(len({id(one) for one in moved}) == len(moved), "parameter_groups gives a parameter twice")
    foreign = [one for one in moved if id(one) not in names]
    require(not foreign, "parameter_groups gives tensors that are no parameters of net or strategy: not in checkpoints")
    require(training.loss(0).loss.requires_grad, "the loss has no gradient")
    found = {name for step in range(2) for name in training.step(step) if name.startswith("gradient/")}
    reached = {name.removeprefix("gradient/") for name in found}
    require(any(name.startswith("net.") for name in reached), "no parameter of the net gets a gradient")
    idle = sorted(names[id(one)] for one in moved if names[id(one)] not in reached)
    own = [name for name in idle if name.startswith("strategy.")]
    require(
        not own,
        f"{some(own)}: the optimizer moves it (weight decay), but no loss reaches it. What is not learned is a buffer, "
        "or has requires_grad_(False)",
    )
    for name, parameter in training.module.named_parameters():
        require(bool(parameter.isfinite().all()), f"{name} is not finite after two steps")


def weights(problem: Problem) -> None:
    """``loss`` moves no weights and leaves no gradients: both are the optimizer's and the backward's."""
    training = Training(problem).start()
    before = {name: one.detach().clone() for name, one in training.module.named_parameters()}
    training.loss(0)
    after = dict(training.module.named_parameters())
    moved = [name for name, one in before.items() if not torch.equal(one, after[name].detach())]
    require(not moved, f"loss changes {some(moved)}: weights move by the optimizer's step, or in after_step")
    left = [name for name, one in after.items() if one.grad is not None]
    require(
        not left,
        f"loss leaves gradients in {some(left)}, which the trainer would add up or throw away: take them by "
        "torch.autograd.grad and hand them over by dgreid.gradients.with_gradients",
    )
    require(training.net.training, "loss leaves the net in evaluation mode")


def repeatable(problem: Problem) -> None:
    """Two trainings of one seed are equal to the bit, whatever random numbers were drawn elsewhere."""
    with _surroundings(1):
        one = _steps(Training(problem).start(), 2)
    with _surroundings(2):
        other = _steps(Training(problem).start(), 2)
    different = _different(one, other)
    require(
        not different,
        f"two trainings of one seed differ in {some(different)}: draw random numbers from torch within loss and "
        "after_step, which is seeded then, or from dgreid.SeededDraws; never from random, numpy or time",
    )


def resume(problem: Problem) -> None:
    """A training that is continued from a checkpoint equals the uninterrupted one to the bit."""
    with _surroundings(1):
        whole = Training(problem).start()
        _steps(whole, 2)
        checkpoint = whole.checkpoint()
        expected = whole.step(2) | whole.state()
    with _surroundings(2):
        try:
            continued = Training(problem).load(checkpoint)
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckError(
                f"a checkpoint does not fit a new strategy: {error}; buffers and parameters must have their names and "
                "shapes after setup"
            ) from error
        found = continued.step(2) | continued.state()
    different = _different(expected, found)
    require(
        not different,
        f"a continued training differs in {some(different)}: what a strategy keeps from step to step must be a buffer "
        "or parameter (register_buffer), or follow from the clock",
    )


def sources(problem: Problem) -> str:
    """Any number of sources, and steps that some take no part in; what cannot be is an ``InputError``."""
    refused = ""
    for count in (1, 2):
        fewer = Problem(problem.make_strategy, problem.make_net, problem.dtype, sources=count)
        try:
            _steps(Training(fewer).start(), 2)
        except InputError as error:
            refused = refused or str(error)
        except Exception as error:
            raise CheckError(
                f"with {count} of three sources: {type(error).__name__}: {error}; make it work, or raise a "
                "dgreid.InputError in setup that says what is needed"
            ) from error
    training = Training(problem).start()
    try:
        training.step(0, [domain.name for domain in problem.domains[:2]])
    except InputError as error:
        refused = refused or str(error)
    except Exception as error:
        raise CheckError(
            f"a step in which two of three domains take part: {type(error).__name__}: {error}; loss and after_step get "
            "the domains of the step, which need not be all"
        ) from error
    return refused


def inference(problem: Problem) -> None:
    """``inference_net`` gives each image one unit embedding, alone or among others, and changes nothing."""
    training = Training(problem).start()
    training.step(0)
    images = training.problem.batches(1)["first"].images
    before = training.state()
    training.module.eval()
    net = training.strategy.inference_net(training.net).eval()
    with torch.no_grad():
        together = net(images)
        alone = torch.cat([net(image.unsqueeze(0)) for image in images])
    rows = isinstance(together, Tensor) and together.dim() == 2 and len(together) == len(images)
    require(rows, "inference_net must give a tensor with one row for each image")
    length = float((together.norm(dim=1) - 1).abs().max())
    require(length < UNIT, f"embeddings must have unit length, to {UNIT:g}; these are off by {length:.2g}")
    require(torch.allclose(together, alone, atol=1e-9), "an image's embedding depends on the images beside it")
    changed = _different(before, training.state())
    require(not changed, f"inference changes {some(changed)}: an evaluation would change the training")


def single_precision(problem: Problem) -> None:
    """Two steps in float32 are finite, and no weight or bank is of another precision."""
    training = Training(Problem(problem.make_strategy, problem.make_net, torch.float32, problem.sources)).start()
    for name, value in (_steps(training, 2) | training.state()).items():
        require(bool(np.isfinite(value).all()), f"{name} is not finite in float32")
    other = [name for name, one in training.module.state_dict().items() if one.dtype == torch.float64]
    require(not other, f"{some(other)} is float64 in a float32 run: make it like the net's parameters")


def _steps(training: Training, count: int) -> Numbers:
    found: Numbers = {}
    for step in range(count):
        found |= {f"step {step}: {name}": value for name, value in training.step(step).items()}
    return found | training.state()


def _different(one: Numbers, other: Numbers) -> list[str]:
    missing = sorted(one.keys() ^ other.keys())
    return missing + [name for name in one if name in other and not np.array_equal(one[name], other[name])]


@contextmanager
def _surroundings(seed: int) -> Iterator[None]:
    """Other states of all global generators; those of before come back."""
    python, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)
