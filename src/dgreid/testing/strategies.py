"""The contract of strategies as one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from dgreid.errors import InputError, check_one_of
from dgreid.strategies.base import TrainingStrategy
from dgreid.testing import checks as one_process
from dgreid.testing.configured import configuration, factory_of, settings_of
from dgreid.testing.failures import CheckError, Outcome
from dgreid.testing.problem import Problem, small_net
from dgreid.testing.process_checks import global_statistics, local_statistics

CHECKS = {
    "result": one_process.result,
    "gradient": one_process.gradient,
    "weights": one_process.weights,
    "repeatable": one_process.repeatable,
    "resume": one_process.resume,
    "sources": one_process.sources,
    "inference": one_process.inference,
    "single_precision": one_process.single_precision,
}
OF_PROCESSES = {"processes": global_statistics, "local_statistics": local_statistics}
OF_FILES = "configuration"
NAMES = (OF_FILES, *CHECKS, *OF_PROCESSES)


def check_strategy(
    strategy: Callable[[], TrainingStrategy] | str | Path,
    *,
    overrides: Sequence[str] = (),
    net: Callable[[], nn.Module] = small_net,
    checks: Sequence[str] = NAMES,
    processes: Sequence[int] = (2,),
) -> list[Outcome]:
    """Holds a strategy to what the framework promises of all strategies; needs no data and some seconds.

    Args:
        strategy: a class, or a function without arguments that makes one; or its file
            ``<folder>/strategy/<name>.yaml``, which is composed as a run composes it; or a name of the project's.
        overrides: with a file or name, values as typed after a command: ``strategy.momentum=0.5``.
        net: makes a net for 64x32 images, with an attribute ``feature_dimension``.
        checks: names of those to make; ``configuration`` is of files alone.
        processes: numbers of processes that are compared with one.

    Returns:
        What came of each check; with what the strategy refuses in so many words, as it may.

    Raises:
        AssertionError: some failed; the message names each and says why it matters.
        InputError: there is no such file or check.
    """
    for name in checks:
        check_one_of("checks", name, NAMES)
    if isinstance(strategy, nn.Module):
        raise InputError("give the class, or a function that makes the strategy: each check begins with a new one")
    is_named = isinstance(strategy, str | Path)
    settings = settings_of(strategy, overrides) if isinstance(strategy, str | Path) else None
    if overrides and not is_named:
        raise InputError(f"overrides={list(overrides)}: they are for files; of a class take functools.partial")
    tried: dict[str, Callable[[], str | None]] = {}
    if settings is not None:
        tried[OF_FILES] = partial(configuration, settings)
        problem = Problem(factory_of(settings), net)
    else:
        assert callable(strategy)
        problem = Problem(strategy, net)
    tried |= {name: partial(check, problem) for name, check in CHECKS.items()}
    tried |= {name: partial(check, problem, processes) for name, check in OF_PROCESSES.items()}
    with torch.random.fork_rng(devices=[]):
        outcomes = [_outcome(name, check) for name, check in tried.items() if name in checks]
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if failed:
        told = "\n".join(f"{outcome.check}: {outcome.detail}" for outcome in failed)
        raise AssertionError(f"{len(failed)} of {len(outcomes)} checks failed\n{told}")
    return outcomes


def _outcome(name: str, check: Callable[[], str | None]) -> Outcome:
    try:
        return Outcome(name, True, check() or "")
    except CheckError as error:
        return Outcome(name, False, str(error))
    except Exception as error:  # a strategy may fail in any way
        return Outcome(name, False, f"{type(error).__name__}: {error}")
