"""What a table needs before its first run: data, first weights, room on the disk. All that is wrong is told at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dgreid.benchmark.tables import Sweep
from dgreid.data.doctor import examine
from dgreid.data.domains.base import Domain
from dgreid.data.domains.synthetic import SyntheticDomain
from dgreid.errors import InputError
from dgreid.run.build import build_domains, build_net
from dgreid.run.checkpoints import LAST
from dgreid.run.compose import readable
from dgreid.run.composition import composed

BYTES_OF_PARAMETER = 12  # float32, and Adam's two moments
CHECKPOINTS = 2  # the last and the one before; `selected` is a second name of one
GIGABYTE = 1e9


def problems(sweeps: Sequence[Sweep]) -> list[str]:
    """What stands in the way, in words; lists of images are read, the images are not."""
    found: list[str] = []
    configs = []
    for sweep in sweeps:
        for protocol in sweep.protocols:
            for strategy in sweep.strategies:
                try:
                    configs.append((sweep, composed(sweep.run(protocol, strategy))))
                except Exception as error:
                    found.append(_told(error))
    if found:
        return list(dict.fromkeys(found))
    found += _of_data([config for _, config in configs])
    # A run's size: of one net for each sweep, as its rows share it.
    first = {id(sweep): (sweep, config) for sweep, config in reversed(configs)}
    needed = 0.0
    for sweep, config in first.values():
        try:
            parameters = sum(one.numel() for one in build_net(config).parameters())
        except Exception as error:
            found.append(_told(error))
        else:
            needed += sweep.runs * parameters * BYTES_OF_PARAMETER * (CHECKPOINTS + bool(config.evaluate_every))
    runs, name = Path(str(configs[0][1].runs)), str(configs[0][1].name)
    written = sum(1 for _ in (runs / name).rglob(LAST))  # of runs that were begun before
    left = max(0.0, 1 - written / sum(sweep.runs for sweep in sweeps))
    found += _of_disk(runs, needed * left)
    return list(dict.fromkeys(found))


def _of_data(configs: Sequence[Any]) -> Iterator[str]:
    domains: dict[str, Domain] = {}
    for config in configs:
        for key in ("sources", "target"):
            try:
                domains.update(build_domains(config, key))
            except Exception as error:
                yield _told(error)
    for name, domain in sorted(domains.items()):
        if isinstance(domain, SyntheticDomain):  # drawn when it is needed
            continue
        for finding in examine(domain, read_images=False).findings:
            if finding.level == "problem":
                yield f"{name}: {finding.message}" + (f"; {finding.way_out}" if finding.way_out else "")


def _of_disk(runs: Path, needed: float) -> Iterator[str]:
    place = next(folder for folder in (runs, *runs.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        yield (
            f"{place} has {free / GIGABYTE:.1f} GB left, checkpoints of the runs to come take about "
            f"{needed / GIGABYTE:.1f}: "
            "free some, or choose another disk with runs=<folder>"
        )


def _told(error: Exception) -> str:
    message = readable(error)
    if message is None:
        raise InputError(f"{type(error).__name__}: {error}") from error
    return message
