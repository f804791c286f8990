"""What a strategy promises of several processes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from dgreid.errors import InputError
from dgreid.module import BatchStatistics
from dgreid.testing.failures import CheckError, require, some
from dgreid.testing.problem import Problem
from dgreid.testing.process_groups import on_processes
from dgreid.testing.training import Numbers, errors, trained

# The largest relative difference; Adam makes more of what rounding leaves in gradients that are 0.
CLOSE = {"0": 1e-11, "1": 1e-8, "state": 1e-9}


def global_statistics(problem: Problem, counts: Sequence[int] = (2,)) -> str:
    """So many processes compute what one computes on the union of their batches."""
    one: Numbers | None = None
    for count in counts:
        several, refused = _on(count, problem, "global")
        if several is None:
            return refused
        one = trained(problem)[1] if one is None else one
        require_equal(one, several, f"{count} processes with batch_statistics=global")
    return ""


def local_statistics(problem: Problem, counts: Sequence[int] = (2,)) -> str:
    """With statistics of their own, processes stay alike; they equal one with as many ``statistics_chunks``."""
    for count in counts:
        several, refused = _on(count, problem, "local")
        if several is None:
            return refused
        require_same_state(several, f"{count} processes with batch_statistics=local")
        chunked = _in_chunks(problem, count)
        if chunked is not None:
            require_equal(trained(chunked)[1], several, f"{count} processes with batch_statistics=local")
    return ""


def require_same_state(several: Sequence[Numbers], what: str) -> None:
    """All processes must hold the same net and strategy.

    Raises:
        CheckError: they do not.
    """
    for other in several[1:]:
        different = [n for n in other if n.startswith("state/") and not (several[0][n] == other[n]).all()]
        require(
            not different,
            f"on {what} {some(different)} differ from process to process: what moves by a batch's rows must take those "
            "of all (dgreid.distributed.gather_rows), and draws must be equal on all (dgreid.SeededDraws)",
        )


def require_equal(one: Numbers, several: Sequence[Numbers], what: str) -> None:
    """Processes must be alike, and the first must equal one process.

    Raises:
        CheckError: with what is farthest.
    """
    require_same_state(several, what)
    require(several[0].keys() == one.keys(), f"{what} log or reach {some(sorted(several[0].keys() ^ one.keys()))}")
    # Norms of a step's parts are of each process's own gradients.
    compared = {n: error for n, error in errors(one, several[0]).items() if "/scalar/gradient/" not in n}
    far = sorted((n for n, error in compared.items() if error > CLOSE[n.partition("/")[0]]), key=lambda n: -compared[n])
    if far:
        raise CheckError(
            f"{what} are not one process on all their images: {some(far)}, the first by {compared[far[0]]:.1g}. "
            "What is taken from a batch as a whole must be taken from each of self.parts.of(rows); what belongs to "
            "rows must be drawn by dgreid.SeededDraws; banks must follow the rows of all processes"
        )


def _on(count: int, problem: Problem, statistics: BatchStatistics) -> tuple[list[Numbers] | None, str]:
    """The numbers of each rank, or what the strategy says instead."""
    outcomes = on_processes(count, _trained_or_refused, problem, statistics)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if not refusals:
        return outcomes, ""
    require(len(refusals) == count, f"some of {count} processes refuse and the others go on: {refusals[0]}")
    return None, refusals[0]


def _trained_or_refused(problem: Problem, statistics: BatchStatistics) -> Numbers | str:
    try:
        return trained(problem, statistics)[1]
    except InputError as error:
        return str(error)


def _in_chunks(problem: Problem, count: int) -> Problem | None:
    """The same strategy on one process with so many chunks, if it has that option."""
    if "statistics_chunks" not in inspect.signature(type(problem.make_strategy())).parameters:
        return None

    def chunked() -> Any:
        strategy = problem.make_strategy()
        strategy.parts = strategy.parts._replace(chunks=count)
        return strategy

    return Problem(chunked, problem.make_net, problem.dtype, problem.sources)
