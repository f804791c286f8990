"""``python -m dgreid.report``: tables from runs, one run against another, and the state of a sweep."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dgreid.errors import InputError, exit_code
from dgreid.evaluation.embedding_files.comparison import UNITS
from dgreid.report.comparison import Resampling
from dgreid.report.markdown import markdown_report
from dgreid.report.reading import Run, read_run, run_folders
from dgreid.report.states import status
from dgreid.report.terminal import print_table
from dgreid.report.two_runs import two_runs
from dgreid.report.writing import FORMATS, check_writable, make_report, write_report

USAGE = """Tables from finished runs; from one command to the paper's table.

  python -m dgreid.report runs/m3l --output report   tables of all runs below a folder, as Markdown, LaTeX, CSV and HTML
  python -m dgreid.report diff RUN OTHER             how two runs differ, in what they are and in what they score
  python -m dgreid.report status runs/m3l            done, running, failed, interrupted and missing cells of a sweep
"""
SHOWN = ("Results", "Against")  # on the terminal; the files have all tables
KEY_VALUE = re.compile(r"(baseline|output|formats|resamples|unit|seed)=(.*)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit code: 0, 1 where something is wrong, or 130 when stopped by the keyboard.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(words[0]) if words else None
    return exit_code(lambda: _report(words) if command is None else command(words[1:]))


def _report(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dgreid.report", description=USAGE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs, or folders that hold them")
    parser.add_argument(
        "--baseline", metavar="NAME", help="row the others are compared with (default: fb, if it is there)"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where report.md, .tex, .csv and .html go")
    parser.add_argument("--formats", default=",".join(FORMATS), help="some of them (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier report")
    _add_resampling(parser)
    # As the other commands take them: baseline=fb is --baseline fb.
    given = parser.parse_intermixed_args([KEY_VALUE.sub(r"--\1=\2", word) for word in words])
    formats = _formats(given.formats)
    if given.output is not None:
        check_writable(given.output, formats, given.overwrite)
    runs = [read_run(folder) for folder in run_folders(given.runs)]
    report = make_report(runs, given.baseline, _resampling(given))
    shown = [table for tables in report.tables for table in tables if table.title.startswith(SHOWN)]
    print(markdown_report(shown), end="")
    if report.unfinished:
        print(f"\n{report.unfinished} runs have no result yet and are left out")
    if given.output is not None:
        print(f"\nreport: {', '.join(map(str, write_report(report, given.output, formats)))}")


def _diff(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dgreid.report diff", description="How two runs differ, in what they are and what they score."
    )
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="a run's folder")
    _add_resampling(parser)
    given = parser.parse_intermixed_args(words)
    one, other = map(_one_run, given.runs)
    for table in two_runs(one, other, _resampling(given)):
        print_table(table)


def _one_run(place: Path) -> Run:
    """The run in a folder.

    Raises:
        InputError: it holds several, or none.
    """
    found = run_folders([place])
    if len(found) > 1:
        raise InputError(f"{place} holds {len(found)} runs; diff compares one with one, for instance {found[0]}")
    return read_run(found[0])


def _status(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dgreid.report status",
        description="Done, running, failed, interrupted, and missing cells: those that other methods, targets or seeds "
        "in these folders have.",
    )
    parser.add_argument("folders", nargs="+", type=Path, help="folders of runs, or folders that hold them")
    for table in status(run_folders(parser.parse_args(words).folders)):
        print_table(table)


def _add_resampling(parser: argparse.ArgumentParser) -> None:
    default = Resampling()
    parser.add_argument(
        "--resamples", type=int, default=default.resamples, help="of the bootstrap (default: %(default)s)"
    )
    parser.add_argument("--unit", choices=UNITS, default=default.unit, help="what it draws (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="of its draws (default: %(default)s)")


def _resampling(given: argparse.Namespace) -> Resampling:
    return Resampling(given.resamples, given.unit, given.seed)


def _formats(text: str) -> list[str]:
    """The formats asked for.

    Raises:
        InputError: one is unknown.
    """
    formats = [name.strip() for name in text.split(",")]
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"--formats {text}: no {name!r}; known: {', '.join(FORMATS)}")
    return formats


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"diff": _diff, "status": _status}

if __name__ == "__main__":
    sys.exit(main())
