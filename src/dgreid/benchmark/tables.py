"""The tables that one command runs: which protocols, with which strategies and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from dgreid.errors import InputError, nearest
from dgreid.run.compose import conf_folder


class Part(NamedTuple):
    """Rows of a table that are trained alike; each part is one sweep.

    Attributes:
        strategies: of ``conf/strategy``.
        overrides: what is typed for all of them, ``key=value`` each.
        extra: whether it is run only where asked for.
    """

    strategies: tuple[str, ...]
    overrides: tuple[str, ...]
    extra: bool = False


class Benchmark(NamedTuple):
    """A table.

    Attributes:
        protocols: the folder of ``conf/protocol`` whose cells are its columns.
        parts: its rows.
        at_once: runs at a time; None for one on each GPU.
        minutes: that a run took on the machine of docs/benchmarks.md, by strategy; empty where none was measured.
    """

    protocols: str
    parts: tuple[Part, ...]
    at_once: int | None = None
    minutes: Mapping[str, float] = MappingProxyType({})


IL, M3L = ("experiment=il",), ("experiment=m3l",)
SMALL = ("experiment=benchmark", "trainer.accelerator=cpu")
# M3L moves the bias of the neck, as its experiments have it; what else these set is equal for all rows there.
SMALL_M3L = (*SMALL, "net.neck_bias=trainable")
BENCHMARKS = {
    "synthetic": Benchmark(
        "synthetic",
        (
            Part(("fb", "fbf", "il"), SMALL),
            Part(("m3l", "m3l_released"), SMALL_M3L),
            Part(("softmax_triplet",), SMALL, extra=True),
            Part(("fb",), (*SMALL, "loss_style=mixstyle"), extra=True),
        ),
        at_once=2,
        minutes={"fb": 1.3, "fbf": 1.5, "il": 1.8, "m3l": 3.4, "m3l_released": 3.5, "softmax_triplet": 1.4},
    ),
    "m3l": Benchmark("m3l", (Part(("softmax_triplet", "fb", "m3l"), M3L), Part(("m3l_released",), M3L, extra=True))),
    "il": Benchmark("il", (Part(("fb", "fbf", "il"), IL), Part(("softmax_triplet",), IL, extra=True))),
    "p2": Benchmark("p2", (Part(("fb", "fbf", "il"), IL), Part(("m3l",), M3L))),
    "p3": Benchmark("p3", (Part(("fb", "fbf", "il"), IL), Part(("m3l",), M3L))),
}


class Sweep(NamedTuple):
    """A part of a table as it is to be run.

    Attributes:
        protocols: names of files of ``conf/protocol``.
        strategies: of ``conf/strategy``.
        seeds: of the runs.
        overrides: what is typed for all runs.
    """

    protocols: tuple[str, ...]
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...]

    @property
    def runs(self) -> int:
        """How many they are."""
        return len(self.protocols) * len(self.strategies) * len(self.seeds)

    def words(self) -> list[str]:
        """As typed after ``train.py -m``: an interrupted sweep has all methods on a target, all targets of a seed."""
        choices = {"seed": self.seeds, "protocol": self.protocols, "strategy": self.strategies}
        return [*(f"{key}={','.join(map(str, values))}" for key, values in choices.items()), *self.overrides]

    def run(self, protocol: str, strategy: str) -> list[str]:
        """What is typed for a single run of it."""
        return [f"seed={self.seeds[0]}", f"protocol={protocol}", f"strategy={strategy}", *self.overrides]


def sweeps_of(
    name: str, strategies: Sequence[str], seeds: Sequence[int], extra: bool, overrides: Sequence[str]
) -> list[Sweep]:
    """What is to be run for a table.

    Args:
        name: of ``BENCHMARKS``.
        strategies: only these rows; empty for all.
        seeds: of each cell.
        extra: whether the further rows are wanted, too.
        overrides: further values of train.py, for all runs.

    Raises:
        InputError: a strategy is none of the table's, or a value would make a cell another one.
    """
    benchmark = BENCHMARKS[name]
    known = {one for part in benchmark.parts for one in part.strategies}
    for one in strategies:
        if one not in known:
            raise InputError(f"--strategies {one}: not in this table; {nearest(one, known)}")
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key in ("seed", "protocol", "strategy", "experiment", "target", "sources", "resume", "plan", "folder"):
            raise InputError(f"{override}: {key} is what a cell is; choose by --seeds, --strategies and --extra")
    folder = conf_folder() / "protocol" / benchmark.protocols
    protocols = tuple(f"{benchmark.protocols}/{file.stem}" for file in sorted(folder.glob("*.yaml")))
    found = []
    for part in benchmark.parts:
        rows = tuple(one for one in part.strategies if not strategies or one in strategies)
        if rows and (extra or not part.extra):
            given = (f"name=benchmark_{name}", "resume=auto")
            found.append(Sweep(protocols, rows, tuple(dict.fromkeys(seeds)), (*part.overrides, *given, *overrides)))
    if not found:
        raise InputError(f"--strategies {','.join(strategies)}: further rows, which --extra adds")
    return found
