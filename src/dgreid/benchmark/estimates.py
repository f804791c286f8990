"""What a table will take, from the first three steps of each of its methods."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dgreid.benchmark.tables import Sweep
from dgreid.run.build import build_domains
from dgreid.run.composition import composed
from dgreid.run.guards import check_training
from dgreid.run.planning import device_name, measure, total_steps
from dgreid.run.quiet import keep_terminal_readable


class Estimate(NamedTuple):
    """Of one method.

    Attributes:
        strategy: of ``conf/strategy``.
        runs: how many there are of it.
        seconds: a step.
        hours: a run, evaluations left out.
        memory: peak, in words.
        device: what it was measured on.
    """

    strategy: str
    runs: int
    seconds: float
    hours: float
    memory: str
    device: str


def estimates(sweeps: Sequence[Sweep]) -> list[Estimate]:
    """Trains three steps of each method on its first protocol, each in a fresh process, on one device.

    Raises:
        InputError: what training would refuse, or too little memory.
    """
    found = []
    # Fresh processes: what one method left resident would hide another's peak.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        for sweep in sweeps:
            for strategy in sweep.strategies:
                words = [*sweep.run(sweep.protocols[0], strategy), "resume=false", "trainer.devices=1"]
                seconds, hours, memory, device = pool.submit(three_steps, words).result()
                runs = len(sweep.protocols) * len(sweep.seeds)
                found.append(Estimate(strategy, runs, seconds, hours, memory, device))
    return found


def three_steps(words: Sequence[str]) -> tuple[float, float, str, str]:
    """Seconds a step, hours a run, peak memory and device of a configuration.

    Args:
        words: as typed, of two values of a key the later one.
    """
    keep_terminal_readable()
    typed = {word.lstrip("+~").partition("=")[0]: word for word in words}
    config = composed(list(typed.values()))
    check_training(config)
    meter = measure(config, build_domains(config, "sources"), build_domains(config, "target")).meter
    hours = meter.seconds * total_steps(config) / 3600
    return meter.seconds, hours, meter.memory.describe(), device_name(meter.device)


def print_estimates(found: Sequence[Estimate], at_once: int) -> None:
    """A row for each method, then the sum."""
    table = Table("strategy", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("runs", "s/step", "hours/run", "hours"):
        table.add_column(column, justify="right")
    table.add_column("peak memory", overflow="fold")
    for one in found:
        table.add_row(
            one.strategy, str(one.runs), f"{one.seconds:.3g}", f"{one.hours:.3g}", f"{one.runs * one.hours:.3g}",
            one.memory,
        )  # fmt: skip
    console = Console(highlight=False)
    console.print(table)
    hours = sum(one.runs * one.hours for one in found)
    console.print(
        f"about {hours:.3g} hours of training on one {found[0].device}, evaluations not counted; "
        f"{at_once} at a time: {hours / at_once:.3g} if they do not slow each other down",
        soft_wrap=True,
    )
