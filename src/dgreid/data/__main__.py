"""The commands ``python -m dgreid.data check`` and ``python -m dgreid.data prepare``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import cast

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from dgreid.data.cuhk03_extract import extract, find_mat
from dgreid.data.doctor import DomainReport, Finding, SubsetReport, examine
from dgreid.data.domains.base import Domain
from dgreid.data.domains.published import existing_data_root
from dgreid.errors import exit_code
from dgreid.run.compose import conf_folder, readable, register_catalogue
from dgreid.run.guards import known_domains

FORMAT = 1
SHOWN_HASH_DIGITS = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit code: 0, 1 where something is wrong, or 130 when stopped by the keyboard.
    """
    parser = _parser()
    # argparse does not take words after an option that follows other words: `check market1501 --json data_root=...`.
    given, rest = parser.parse_known_args(arguments)
    if any(word.startswith("-") for word in rest):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    words = [*given.words, *rest]
    overrides = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word]
    return exit_code(lambda: _carried_out(given, overrides, names), readable)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dgreid.data", description="Data sets on disk.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="examine data sets, and say what to do where something is wrong")
    check.add_argument(
        "words",
        nargs="*",
        metavar="domain|key=value",
        help="domains to examine (default: all that are found), data_root=<folder>, domain.cuhknp.crops=labeled ...",
    )
    check.add_argument("--json", action="store_true", help="print JSON instead of tables")
    check.add_argument("--lists-only", action="store_true", help="do not read the images: seconds instead of minutes")
    prepare = commands.add_parser("prepare", help="extract the images of cuhk-03.mat into PNG folders beside it")
    prepare.add_argument("dataset", choices=["cuhk03"])
    prepare.add_argument("words", nargs="*", metavar="data_root=<folder>", help="the folder of all data sets")
    return parser


def _carried_out(given: argparse.Namespace, overrides: list[str], names: list[str]) -> int:
    config = _configuration(overrides)
    return _check(config, names, given) if given.command == "check" else _prepare(config)


def _configuration(overrides: list[str]) -> DictConfig:
    register_catalogue()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("evaluate", overrides=overrides)


def _check(config: DictConfig, names: list[str], given: argparse.Namespace) -> int:
    known_domains(names, config.domain, "domain")
    reports = []
    with _progress("{task.description}: {task.completed:,.0f} images read") as progress:
        for name in names or [str(name) for name in config.domain]:
            domain = cast(Domain, instantiate(config.domain[name], _convert_="all"))
            if not names and not domain.is_on_disk:
                reports.append(DomainReport(name, "absent"))
                continue
            task = progress.add_task(name, total=None)
            advance = partial(progress.advance, task)
            reports.append(examine(domain, read_images=not given.lists_only, advance=advance))
            progress.remove_task(task)
    if all(report.status == "absent" for report in reports):
        existing_data_root(config.data_root)
    if given.json:
        print(json.dumps({"format": FORMAT, "data_root": config.data_root, "domains": [asdict(r) for r in reports]}))
    else:
        _print(reports, str(config.data_root))
    return int(any(report.status == "problem" for report in reports))


def _progress(text: str) -> Progress:
    """Shown on a terminal only."""
    console = Console(stderr=True)
    return Progress(SpinnerColumn(), TextColumn(text), console=console, transient=True, disable=not console.is_terminal)


def _print(reports: Sequence[DomainReport], data_root: str) -> None:
    console = Console(highlight=False)
    for report in reports:
        if report.status == "absent":
            continue
        console.print(f"\n[bold]{report.name}[/bold]  {report.status}", markup=True)
        if report.root is not None:
            console.print(f"{report.version}, family {report.family}, {report.root}", markup=False, soft_wrap=True)
            console.print(_table(report))
        for finding in report.findings:
            _print_finding(console, finding)
    absent = [report.name for report in reports if report.status == "absent"]
    if absent:
        console.print(f"\nnot found below data_root={data_root}: {', '.join(absent)}", markup=False)
        console.print("python -m dgreid.data check <domain> says where each is looked for", markup=False)


def _print_finding(console: Console, finding: Finding) -> None:
    console.print(f"{finding.level}: {finding.message}", markup=False, soft_wrap=True)
    if finding.way_out:
        console.print(f"  what to do: {finding.way_out}", markup=False, soft_wrap=True)


def _table(report: DomainReport) -> Table:
    table = Table("subset", "identities", "images", "cameras", "list hash")
    for subset, found in report.subsets.items():
        table.add_row(subset, *_cells(found, report.expected_cameras), found.list_hash[:SHOWN_HASH_DIGITS])
    return table


def _cells(found: SubsetReport, cameras: int | None) -> list[str]:
    pairs = [
        (found.identities, found.expected_identities),
        (found.images, found.expected_images),
        (found.cameras, cameras),
    ]
    return [f"{number:,}" if expected is None else f"{number:,} of {expected:,}" for number, expected in pairs]


def _prepare(config: DictConfig) -> int:
    mat = find_mat(config.data_root)
    with _progress("{task.completed:,.0f} images written") as progress:
        task = progress.add_task("images", total=None)
        folders = extract(mat, advance=partial(progress.advance, task))
    print("\n".join(f"written: {folder}" for folder in folders))
    return 0


if __name__ == "__main__":
    sys.exit(main())
