"""Steps on two and three processes are the steps of one process on the union of their batches."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from process_groups import on_processes
from small_runs import composed, strategies, typed

from dgreid.distributed import follow_first_rank, mean_of_each, rank_and_world_size, rows_of_this_rank
from dgreid.draws import SeededDraws
from dgreid.module import ReIDModule
from dgreid.nets.small import small
from dgreid.types import Clock, DomainInfo, ReIDBatch

PEOPLE, IMAGES = 6, 2
CLOCKS = [Clock(step=step, epoch=0, learning_rate=1e-3, seed=4) for step in range(2)]
IDENTITIES = {"first": 7, "second": 8, "third": 9}
DOMAINS = [DomainInfo(name, count, 50, 2, "") for name, count in IDENTITIES.items()]
CLOSE = {"0": 1e-11, "1": 1e-8, "state": 1e-9}  # Adam makes more of what rounding leaves in gradients that are 0

# Of each method the options that treat a batch as a whole.
VARIANTS = {
    "fb": ["loss_style=mixstyle", "loss_style=dsu", "strategy.domain_graphs=joint"],
    "fbf": ["memory_style=swap", "memory_style=mixstyle"],
    "il": ["loss_style=dsu"],
    "m3l": ["strategy.hypergradient=hvp", "strategy.order=first"],
    "m3l_released": ["strategy.hypergradient=hvp"],
}
CASES = [(name, "") for name in strategies()] + [(name, one) for name, some in VARIANTS.items() for one in some]


def batches(step):
    """This rank's rows of a step."""
    generator = torch.Generator().manual_seed(step)
    whole = {}
    for position, (name, count) in enumerate(IDENTITIES.items()):
        labels = torch.randperm(count, generator=generator)[:PEOPLE].repeat_interleave(IMAGES)
        if name == "second":
            labels[-IMAGES:] = labels[0]  # an identity that several processes have
        images = torch.randn(len(labels), 3, 64, 32, dtype=torch.float64, generator=generator) * (1 + position)
        indices = torch.arange(len(labels))
        whole[name] = ReIDBatch(images, labels, torch.zeros_like(labels), indices)
    return {name: ReIDBatch(*map(rows_of_this_rank, batch)) for name, batch in whole.items()}


def module_of(data_root, strategy, overrides, batch_statistics):
    config = composed(typed(data_root, f"strategy={strategy}", *overrides))
    torch.manual_seed(0)
    net = small(width=4).double().train()
    method = instantiate(config.strategy, _convert_="all")
    return ReIDModule(net, method, DOMAINS, batch_statistics=batch_statistics)


def fill(module):
    generator = torch.Generator().manual_seed(9)
    shapes = {name: (count, module.net.feature_dimension) for name, count in IDENTITIES.items()}
    rows = {name: torch.randn(shape, dtype=torch.float64, generator=generator) for name, shape in shapes.items()}
    module.strategy.fill({name: F.normalize(one, dim=1) for name, one in rows.items()})


def two_steps(data_root, strategy, overrides, batch_statistics):
    """Trains this rank as the trainer does; what there is to compare."""
    module = module_of(data_root, strategy, overrides, batch_statistics)
    module.setup("fit")
    net, method = module.net, module.strategy
    fill(module)
    parameters = list(method.parameter_groups(net))
    optimizer = torch.optim.Adam(parameters, lr=1e-3, weight_decay=5e-4)
    found = {}
    for step, clock in enumerate(CLOCKS):
        module._seed("loss", clock)
        result = method.loss(net, batches(step), clock)
        optimizer.zero_grad()
        result.loss.backward()
        reached = [one for one in parameters if one.grad is not None]
        for one, gradient in zip(reached, mean_of_each([one.grad for one in reached]), strict=True):
            one.grad = gradient
        optimizer.step()
        with torch.no_grad():
            method.after_step(net, batches(step), result, clock)
        follow_first_rank(list(net.buffers()))
        numbers = {name: value for name, value in module._numbers(result).items() if not name.startswith("gradient/")}
        found |= {f"{step}/{name}": value.numpy() for name, value in numbers.items()}
        found |= {f"{step}/gradient {k}": one.grad.numpy().copy() for k, one in enumerate(reached)}
    found |= {f"state/{name}": value.numpy().copy() for name, value in module.state_dict().items()}
    return rank_and_world_size()[0], found


def compare(one, several):
    """Ranks are equal to the bit but for their own gradients; the first equals one process."""
    for _, other in several[1:]:
        assert all((several[0][1][name] == other[name]).all() for name in other if name.startswith("state/"))
    found = several[0][1]
    assert found.keys() == one.keys()
    far = {name: error for name, error in errors(one, found).items() if error > CLOSE[name.partition("/")[0]]}
    assert not far


def errors(one, found):
    """Of each array the largest difference, relative to its largest number."""
    return {name: float(abs(found[name] - one[name]).max() / max(1e-3, abs(one[name]).max())) for name in one}


@cache
def on_one(data_root, strategy, *overrides):
    return two_steps(data_root, strategy, overrides, "global")[1]


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(("strategy", "option"), CASES)
def test_global_statistics_equal_one_process(strategy, option, processes, data_root):
    overrides = [option] if option else []
    several = on_processes(processes, two_steps, data_root, strategy, overrides, "global")
    compare(on_one(data_root, strategy, *overrides), several)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(("strategy", "option"), [case for case in CASES if case[1] != "memory_style=swap"])
def test_local_statistics_equal_as_many_chunks(strategy, option, processes, data_root):
    overrides = [option] if option else []
    chunked = [*overrides, f"strategy.statistics_chunks={processes}"]
    several = on_processes(processes, two_steps, data_root, strategy, overrides, "local")
    compare(on_one(data_root, strategy, *chunked), several)


@pytest.mark.parametrize("strategy", strategies())
def test_local_statistics_are_another_result(strategy, data_root):
    """So the two tests above can fail."""
    several = on_processes(2, two_steps, data_root, strategy, [], "local")
    assert max(errors(on_one(data_root, strategy), several[0][1]).values()) > 1e-4


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
def test_local_inner_gradients_are_averaged_after_them(option, data_root):
    """Each process takes its own inner step, so the gradient is the mean of those of the parts by themselves."""
    overrides = [option, "strategy.inner_gradient=local"]
    gradients = []
    for rank in range(2):
        module = module_of(data_root, "m3l", overrides, "local")
        module.strategy.draws = RowsOf(rank)
        fill(module)
        part = {name: ReIDBatch(*(one.chunk(2)[rank] for one in batch)) for name, batch in batches(0).items()}
        module.strategy.loss(module.net, part, CLOCKS[0]).loss.backward()
        gradients.append([one.grad for one in module.net.parameters() if one.grad is not None])
    several = on_processes(2, two_steps, data_root, "m3l", overrides, "local")
    for k, pair in enumerate(zip(*gradients, strict=True)):
        expected, found = torch.stack(pair).mean(dim=0), torch.from_numpy(several[0][1][f"0/gradient {k}"])
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-13)
