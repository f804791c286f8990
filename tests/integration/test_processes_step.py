"""Options that treat a batch as a whole, on several processes; for the rest see contract/test_strategies.py."""

from __future__ import annotations

import pytest
import torch
from process_groups import on_processes
from small_runs import strategies

from dgreid.draws import SeededDraws
from dgreid.run.compose import conf_folder
from dgreid.testing import check_strategy
from dgreid.testing.configured import factory_of, settings_of
from dgreid.testing.problem import Problem
from dgreid.testing.training import Training, errors, trained
from dgreid.types import ReIDBatch

VARIANTS = {
    "fb": ["loss_style=mixstyle", "loss_style=dsu", "strategy.domain_graphs=joint"],
    "fbf": ["memory_style=swap", "memory_style=mixstyle"],
    "il": ["loss_style=dsu"],
    "m3l": ["strategy.hypergradient=hvp", "strategy.order=first"],
    "m3l_released": ["strategy.hypergradient=hvp"],
}
CASES = [(name, one) for name, some in VARIANTS.items() for one in some]


def problem_of(strategy, *overrides):
    return Problem(factory_of(settings_of(strategy, overrides)))


@pytest.mark.parametrize(("strategy", "option"), CASES)
def test_global_statistics_equal_one_process(strategy, option):
    (outcome,) = check_strategy(strategy, overrides=[option], checks=["processes"], processes=(2, 3))
    assert outcome.detail == ""


@pytest.mark.parametrize(("strategy", "option"), CASES)
def test_local_statistics_equal_as_many_chunks(strategy, option):
    (outcome,) = check_strategy(strategy, overrides=[option], checks=["local_statistics"], processes=(2, 3))
    assert ("one domain only" in outcome.detail) == (option == "memory_style=swap")


@pytest.mark.parametrize("strategy", strategies())
def test_local_statistics_are_another_result(strategy):
    """So equality with one process can fail."""
    problem = problem_of(strategy)
    several = on_processes(2, trained, problem, "local")
    assert max(errors(trained(problem)[1], several[0][1]).values()) > 1e-4


class RowsOf(SeededDraws):
    """The draws of one rank of several, on one process."""

    def __init__(self, rank):
        self.rank = rank

    def normal(self, rows, width, clock, name):
        """That rank's rows."""
        return super().normal(2 * rows, width, clock, name)[self.rank * rows : (self.rank + 1) * rows]


@pytest.mark.parametrize(
    "option", ["strategy.hypergradient=graph", "strategy.hypergradient=hvp", "strategy.order=first"]
)
def test_local_inner_gradients_are_averaged_after_them(option):
    """Each process takes its own inner step, so the gradient is the mean of those of the parts by themselves."""
    problem = problem_of("m3l", option, "strategy.inner_gradient=local")
    gradients = []
    for rank in range(2):
        training = Training(problem, "local").start()
        training.strategy.draws = RowsOf(rank)
        part = {name: ReIDBatch(*(one.chunk(2)[rank] for one in batch)) for name, batch in problem.batches(0).items()}
        training.strategy.loss(training.net, part, problem.clock(0)).loss.backward()
        named = training.module.named_parameters()
        gradients.append({name: one.grad for name, one in named if one.grad is not None})
    several = on_processes(2, trained, problem, "local")
    assert gradients[0]
    for name, first in gradients[0].items():
        expected = (first + gradients[1][name]) / 2
        found = torch.from_numpy(several[0][1][f"0/gradient/{name}"])
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_all_methods_have_a_file():
    assert set(VARIANTS) <= {path.stem for path in (conf_folder() / "strategy").glob("*.yaml")}
