"""The command ``python -m dgreid.benchmark``: runs a table's sweeps, then prints its report."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from dgreid.benchmark.checks import problems
from dgreid.benchmark.estimates import estimates, print_estimates
from dgreid.benchmark.running import run_sweep, show_report
from dgreid.benchmark.tables import BENCHMARKS, Sweep, sweeps_of
from dgreid.errors import InputError, exit_code
from dgreid.run.compose import readable
from dgreid.run.composition import composed
from dgreid.run.quiet import keep_terminal_readable

USAGE = """Whole tables: every protocol x strategy x seed; started again, it goes on where it was.

  python -m dgreid.benchmark synthetic                  no data needed
  python -m dgreid.benchmark p3 --dry data_root=/data   cells, data, weights, disk, hours, memory; trains nothing
  python -m dgreid.benchmark p3 --strategies fb,il --seeds 0 data_root=/data
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0, 1 where something is wrong or a run failed, or 130 when stopped by the keyboard.
    """
    keep_terminal_readable()
    given = _parser().parse_intermixed_args(arguments)
    return exit_code(lambda: _carry_out(given), readable)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dgreid.benchmark", description=USAGE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmark", choices=BENCHMARKS, help=", ".join(BENCHMARKS))
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="further values of train.py, for all runs")
    parser.add_argument("--dry", action="store_true", help="say what would be run and what it takes; train nothing")
    parser.add_argument("--strategies", default="", metavar="NAME,NAME", help="only these rows")
    parser.add_argument("--extra", action="store_true", help="further rows")
    parser.add_argument("--seeds", default="0,1,2", metavar="0,1,2", help="default: %(default)s")
    parser.add_argument("--jobs", type=int, help="runs at a time (default: synthetic 2, others one for each GPU)")
    return parser


def _seeds(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise InputError(f"--seeds {text}: whole numbers with commas between them, e.g. 0,1,2") from error


def _carry_out(given: argparse.Namespace) -> int:
    """What was asked for; the exit code."""
    strategies = [name for name in given.strategies.split(",") if name]
    sweeps = sweeps_of(given.benchmark, strategies, _seeds(given.seeds), given.extra, given.overrides)
    if given.jobs is not None and given.jobs < 1:
        raise InputError(f"--jobs {given.jobs}: at least one run at a time")
    benchmark = BENCHMARKS[given.benchmark]
    at_once = given.jobs or benchmark.at_once or max(1, torch.cuda.device_count())
    _show(sweeps, at_once, benchmark.minutes, cells=given.dry)
    if found := problems(sweeps):
        lines = "".join(f"\n  - {problem}" for problem in found)
        raise InputError(f"{len(found)} things are to be mended first:{lines}")
    if given.dry:
        print("data, first weights and disk: nothing is missing; three steps of each method follow", flush=True)
        print_estimates(estimates(sweeps), at_once)
        return 0
    code = 0
    for sweep in sweeps:
        code = max(code, run_sweep(sweep, at_once))
        if code > 1:
            return code
    config = composed(sweeps[0].run(sweeps[0].protocols[0], sweeps[0].strategies[0]))
    return max(code, show_report(Path(str(config.runs)) / str(config.name)))


def _show(sweeps: Sequence[Sweep], at_once: int, minutes: Mapping[str, float], cells: bool) -> None:
    """How much there is to do; the cells, too, where asked for."""
    runs = sum(sweep.runs for sweep in sweeps)
    print(f"{runs} runs, {at_once} at a time; finished ones are passed over", flush=True)
    if minutes:
        whole = sum(
            minutes[one] * len(sweep.protocols) * len(sweep.seeds) for sweep in sweeps for one in sweep.strategies
        )
        print(f"time: about {whole / at_once:.0f} minutes on the machine of docs/benchmarks.md (2 cores)", flush=True)
    for sweep in sweeps:
        if cells:
            print("\n" + shlex.join(["python", "-m", "dgreid.train", "-m", *sweep.words()]))
            names = [(seed, protocol, one) for seed in sweep.seeds for protocol in sweep.protocols
                     for one in sweep.strategies]  # fmt: skip
            print("\n".join(f"  {protocol}  {strategy}  seed {seed}" for seed, protocol, strategy in names))


if __name__ == "__main__":
    sys.exit(main())
