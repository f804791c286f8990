"""The comparison of methods on the embedded benchmark: leave-one-out over its four domains, several seeds.

    python benchmarks/synthetic.py                              all cells, then the tables
    python benchmarks/synthetic.py --methods fb --seen          FB alone, also on the sources' own test sets
    python benchmarks/synthetic.py --table                      the tables of what is finished
    python benchmarks/synthetic.py --folder runs/short -- steps_per_epoch=20

Every cell is a run of `train.py experiment=benchmark` in a process of its own with one thread. Stop it with Ctrl-C; the
same command goes on where it was. What follows -- are further values of train.py, for all cells.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from synthetic_cells import METHODS, TARGETS, Cell, all_cells, changes_results, check_configurations
from synthetic_sweep import Sweep, busy
from synthetic_table import conditions, record, size, summary, tables

from dgreid.files import write_json
from dgreid.run.compose import readable
from dgreid.synthetic.draws import VERSION

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("runs/benchmark")
SEEDS = (0, 1, 2)
PUBLISHED = ROOT / "docs" / "benchmarks" / "synthetic.json"


def main() -> None:
    parser = argument_parser()
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs}: at least one run at a time")
    try:
        cells = all_cells(
            once(arguments.methods), once(arguments.targets), once(arguments.seeds), arguments.folder,
            arguments.overrides,
        )  # fmt: skip
        code = carry_out(arguments, cells)
    except Exception as error:
        message = readable(error)
        if message is None:
            raise
        sys.exit(f"error: {message}")
    sys.exit(code)


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD",
                        help=", ".join(METHODS))  # fmt: skip
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS, metavar="TARGET",
                        help=", ".join(TARGETS))  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, metavar="SEED", help="0 1 2")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the runs lie (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each (%(default)s)")
    parser.add_argument("--seen", action="store_true", help="evaluate each run on its sources' own test sets, too")
    parser.add_argument("--json", type=Path, help=f"where the results go (the whole benchmark: "
                        f"{PUBLISHED.relative_to(ROOT)}; any part or variant: results.json in --folder)")  # fmt: skip
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--dry", action="store_true", help="list the cells and how far each is; run nothing")
    only.add_argument("--table", action="store_true", help="tables and JSON of what is finished; run nothing")
    parser.add_argument("overrides", nargs="*", metavar="-- key=value", help="values of train.py for all cells")
    return parser


def once(values: list[Any]) -> list[Any]:
    """Without repetitions."""
    return list(dict.fromkeys(values))


def carry_out(arguments: argparse.Namespace, cells: list[Cell]) -> int:
    """What was asked for; the exit code."""
    if not arguments.table:
        check_configurations(cells)
    if arguments.dry:
        show_states(cells)
        return 0
    code = 0 if arguments.table else run(arguments, cells)
    if code != 130:
        report(arguments, cells)
    return code


def show_states(cells: list[Cell]) -> None:
    """A line for each cell, and their numbers."""
    states = ["running" if busy(cell.log) else cell.state() for cell in cells]
    for cell, state in zip(cells, states, strict=True):
        seen = ", evaluated on its sources" if state == "finished" and cell.seen_result() else ""
        print(f"{state:9} {cell}{seen}")
    print(f"{len(cells)} cells: " + ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)))
    waiting = [cell for cell, state in zip(cells, states, strict=True) if state != "finished"]
    if waiting:
        print(f"the first of them: {shlex.join(['python', 'train.py', *waiting[0].training()])}")


def run(arguments: argparse.Namespace, cells: list[Cell]) -> int:
    """Runs what is left; the exit code."""
    sweep = Sweep(cells, arguments.jobs, arguments.seen, ROOT)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, signal.default_int_handler)
    try:
        sweep.run()
    except KeyboardInterrupt:
        command = shlex.join(["python", *sys.argv])
        print(f"\nstopped; finished runs stay, the others go on from their last epoch with\n  {command}")
        return 130
    for cell, reason in sweep.failed.items():
        print(f"not finished: {cell}: {reason}", file=sys.stderr)
    return 1 if sweep.failed else 0


def report(arguments: argparse.Namespace, cells: list[Cell]) -> None:
    """Prints the tables and writes the results."""
    finished = [cell for cell in cells if cell.state() == "finished"]
    if not finished:
        print("no cell is finished")
        return
    common, records = size(finished), [record(cell) for cell in finished]
    print(f"\n{tables(records, arguments.targets)}\n\n{len(records)} of {len(cells)} cells, {conditions(records)}")
    content = {
        "format": 1,
        "benchmark": common,
        "overrides": [override for override in arguments.overrides if changes_results([override])],
        "cells": records,
        "resolution_in_points": summary(records, arguments.targets),
    }
    print(f"results: {write_json(results_file(arguments, len(records)), content)}")


def results_file(arguments: argparse.Namespace, finished: int) -> Path:
    """The published file only for all of the benchmark: a part of it, or a variant, overwrites nothing there."""
    if arguments.json is not None:
        return Path(arguments.json)
    whole = len(METHODS) * len(TARGETS) * len(SEEDS)
    everything = set(arguments.seeds) == set(SEEDS) and finished == whole
    if everything and arguments.folder == FOLDER and not changes_results(arguments.overrides):
        return PUBLISHED
    return Path(arguments.folder) / f"v{VERSION}" / "results.json"


if __name__ == "__main__":
    main()
