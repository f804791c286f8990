"""Each way of breaking the contract is found by the check that is meant for it, and by what it says."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from dgreid.errors import InputError
from dgreid.strategies.base import EmbeddingNet, TrainingStrategy
from dgreid.strategies.fb import FB
from dgreid.strategies.m3l import M3L
from dgreid.testing import check_strategy
from dgreid.testing.strategies import CHECKS, NAMES, OF_PROCESSES
from dgreid.types import StepResult

pytestmark = pytest.mark.usefixtures("one_thread")


class Plain(TrainingStrategy):
    """Pulls the embeddings of each person together: the least that keeps the contract."""

    def loss(self, net, batches, clock):
        losses = {name: self.of_domain(net, batch) for name, batch in batches.items()}
        return StepResult(torch.stack(list(losses.values())).mean(), {n: v.detach() for n, v in losses.items()}, {})

    def of_domain(self, net, batch):
        embeddings = net(batch.images).embedding
        return (1 - (embeddings[0::2] * embeddings[1::2]).sum(1)).mean()


class NoNumber(Plain):
    def loss(self, net, batches, clock):
        found = super().loss(net, batches, clock)
        return found._replace(loss=found.loss.repeat(2))


class KeepsGraph(Plain):
    def loss(self, net, batches, clock):
        found = super().loss(net, batches, clock)
        return found._replace(scalars={"loss_again": found.loss})


class Bare(Plain):
    def loss(self, net, batches, clock):
        return super().loss(net, batches, clock).loss


class Detached(Plain):
    def of_domain(self, net, batch):
        return super().of_domain(net, batch).detach()


class Idle(Plain):
    def setup(self, net, domains):
        self.teacher = nn.Linear(4, 4)


class Outside(Plain):
    def parameter_groups(self, net):
        yield from net.parameters()
        yield nn.Parameter(torch.zeros(3))


class MovesWeights(Plain):
    def loss(self, net, batches, clock):
        with torch.no_grad():
            next(net.parameters()).mul_(0.9)
        return super().loss(net, batches, clock)


class LeavesGradients(Plain):
    def loss(self, net, batches, clock):
        super().loss(net, batches, clock).loss.backward()
        return super().loss(net, batches, clock)


class LeavesEvaluation(Plain):
    def loss(self, net, batches, clock):
        found = super().loss(net, batches, clock)
        net.eval()
        return found


class DrawsPython(Plain):
    def of_domain(self, net, batch):
        return random.random() * super().of_domain(net, batch)


class DrawsNumpy(Plain):
    def of_domain(self, net, batch):
        return np.random.rand() * super().of_domain(net, batch)


class Counts(Plain):
    """Keeps in an attribute what no checkpoint has."""

    def __init__(self):
        super().__init__()
        self.steps = 0

    def loss(self, net, batches, clock):
        self.steps += 1
        found = super().loss(net, batches, clock)
        return found._replace(loss=found.loss * self.steps)


class GrowsLate(Plain):
    def after_step(self, net, batches, result, clock):
        self.register_buffer("seen", torch.zeros(2))


class NeedsThree(Plain):
    def loss(self, net, batches, clock):
        first, second, third = batches
        return super().loss(net, {name: batches[name] for name in (first, second, third)}, clock)


class LongEmbeddings(Plain):
    def inference_net(self, net):
        class Twice(nn.Module):
            def forward(self, images):
                return 2 * net(images).embedding

        return Twice()


class LooksAround(Plain):
    def inference_net(self, net):
        class Centred(nn.Module):
            def forward(self, images):
                embeddings = net(images).embedding
                return nn.functional.normalize(embeddings - embeddings.mean(0) / 2, dim=1)

        return Centred()


class CountsInference(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("asked", torch.zeros(1))

    def inference_net(self, net):
        self.asked += 1
        return EmbeddingNet(net)


class Doubles(Plain):
    def setup(self, net, domains):
        self.register_buffer("bank", torch.zeros(3, dtype=torch.float64))

    def loss(self, net, batches, clock):
        found = super().loss(net, batches, clock)
        return found._replace(loss=found.loss.to(found.loss.dtype) + self.bank.sum().to(found.loss.dtype))


class OwnRows(FB):
    """FB whose banks follow the rows of their own process alone."""

    def after_step(self, net, batches, result, clock):
        for name, batch in batches.items():
            self.bank(name).update(result.embeddings[name], batch.identities, self.momentum)


class WholeBatch(Plain):
    """Takes the mean over the batch of one process for that of all."""

    def of_domain(self, net, batch):
        embeddings = net(batch.images).embedding
        return (embeddings.mean(0) ** 2).sum() * 5


BROKEN = [
    (NoNumber, "result", r"the loss must be one finite number"),
    (KeepsGraph, "result", r"scalars\['loss_again'\] keeps the graph"),
    (Bare, "result", r"loss returns Tensor; it must return a dgreid\.StepResult"),
    (Detached, "gradient", r"the loss has no gradient"),
    (Idle, "gradient", r"strategy\.teacher\.bias, strategy\.teacher\.weight: the optimizer moves it"),
    (Outside, "gradient", r"parameter_groups gives tensors that are no parameters of net or strategy"),
    (MovesWeights, "weights", r"loss changes net\.backbone\.conv1\.weight"),
    (LeavesGradients, "weights", r"loss leaves gradients in .*with_gradients"),
    (LeavesEvaluation, "weights", r"loss leaves the net in evaluation mode"),
    (DrawsPython, "repeatable", r"two trainings of one seed differ in step 0: loss"),
    (DrawsNumpy, "repeatable", r"two trainings of one seed differ in step 0: loss"),
    (Counts, "resume", r"a continued training differs in loss.*register_buffer"),
    (GrowsLate, "resume", r"a checkpoint does not fit a new strategy: (?s:.*)seen"),
    (NeedsThree, "sources", r"with 1 of three sources: ValueError"),
    (LongEmbeddings, "inference", r"embeddings must have unit length, .* off by 1"),
    (LooksAround, "inference", r"depends on the images beside it|must have unit length"),
    (CountsInference, "inference", r"inference changes state/strategy\.asked"),
    (Doubles, "single_precision", r"strategy\.bank is float64 in a float32 run"),
    (OwnRows, "processes", r"state/strategy\.banks\.first\.rows.* differ from process to process"),
    (WholeBatch, "processes", r"are not one process on all their images"),
]


@pytest.mark.parametrize(("method", "check", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_what_breaks_the_contract_is_named(method, check, message):
    with pytest.raises(AssertionError, match=rf"1 of 1 checks failed\n{check}: .*(?:{message})"):
        check_strategy(method, checks=[check])


def test_the_least_that_keeps_the_contract_passes_whole():
    outcomes = check_strategy(Plain)
    assert [outcome.check for outcome in outcomes] == [*CHECKS, *OF_PROCESSES]
    assert all(outcome.passed and not outcome.detail for outcome in outcomes)


def test_every_check_has_something_it_finds():
    assert {check for _, check, _ in BROKEN} == set(NAMES) - {"configuration", "local_statistics"}


def test_banks_of_each_process_s_own_rows_are_found_with_local_statistics_too():
    with pytest.raises(AssertionError, match=r"local_statistics: .*differ from process to process"):
        check_strategy(OwnRows, checks=["local_statistics"])


def test_all_failures_are_told_at_once():
    class Both(MovesWeights, LongEmbeddings):
        """Breaks two promises."""

    with pytest.raises(AssertionError, match=r"2 of 3 checks failed\nweights: .*\ninference: "):
        check_strategy(Both, checks=["result", "weights", "inference"])


def test_what_a_strategy_refuses_is_passed_on():
    outcomes = check_strategy(partial(M3L, inner_gradient="local"), checks=["sources", "processes"])
    assert "needs at least two" in outcomes[0].detail
    assert "inner_gradient=local" in outcomes[1].detail


def test_a_net_of_one_s_own_is_used():
    class Tiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.feature_dimension = 4
            self.layer = nn.Linear(3, 4)

        def forward(self, images):
            from dgreid.types import Features

            rows = self.layer(images.mean((2, 3)))
            return Features(rows, rows)

    assert check_strategy(FB, net=Tiny, checks=["gradient"])[0].passed


def test_global_generators_are_left_as_they_were():
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.get_rng_state(), random.getstate()
    check_strategy(Plain, checks=["result", "resume"])
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert random.getstate() == expected[1]


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        (FB, {"checks": ["resumes"]}, r"checks=resumes: did you mean 'resume'\?"),
        (FB(), {}, r"give the class, or a function that makes the strategy"),
        (FB, {"overrides": ["a=b"]}, r"overrides=\['a=b'\]: they are for files"),
        ("fbx", {}, r"strategy=fbx: there is no such strategy; did you mean 'fb'"),
        ("nowhere/strategy/fb.yaml", {}, r"nowhere/strategy/fb\.yaml: give a file that exists"),
        ("fb", {"overrides": ["strategy.temperature=warm"]}, r"strategy\.temperature=warm"),
    ],
)
def test_wrong_input_is_refused(strategy, options, message):
    with pytest.raises(InputError, match=message):
        check_strategy(strategy, **options)


def own_file(folder, settings):
    (folder / "strategy").mkdir()
    path = folder / "strategy" / "mine.yaml"
    path.write_text(settings)
    return path


def test_a_file_whose_key_is_no_parameter_is_refused(tmp_path):
    path = own_file(tmp_path, "_target_: dgreid.strategies.fb.FB\nmomentun: 0.2\n")
    with pytest.raises((AssertionError, InputError), match="momentun"):
        check_strategy(path, checks=["configuration"])


def test_a_file_of_one_s_own_is_composed_as_a_run_composes_it(tmp_path):
    path = own_file(tmp_path, "_target_: dgreid.strategies.fb.FB\nloss_style: ${loss_style}\n")
    (outcome,) = check_strategy(path, overrides=["loss_style=mixstyle"], checks=["configuration"])
    assert outcome.passed


class Loose(Plain):
    """Takes whatever it is given."""

    def __init__(self, **options):
        super().__init__()


def test_a_constructor_that_takes_anything_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("dgreid.strategies.fb.Loose", Loose, raising=False)
    path = own_file(tmp_path, "_target_: dgreid.strategies.fb.Loose\nmomentun: 0.2\n")
    with pytest.raises(AssertionError, match=r"configuration: dgreid\.strategies\.fb\.Loose takes \*options"):
        check_strategy(path, checks=["configuration"])
