"""Folders of runs, read as data: what a run is, what it scored, and how each query fared."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from dgreid.errors import InputError
from dgreid.evaluation.ranked_lists import COLUMNS
from dgreid.evaluation.scoring import COSINE
from dgreid.run.folder import CONFIG, RECORD, RESULT, what_it_is
from dgreid.run.protocols import told
from dgreid.run.stored import WAY_OUT, plain_config, stored_json

METRICS = {"mAP": "mAP", "rank1": "Rank-1"}
LARGEST_LIST = 256 * 2**20  # bytes; MSMT17's 11,659 queries take about 1.5 MB
LARGEST_NUMBER = 1e18
NUMBERS = ("parameters", "steps", "training_seconds")


class Run(NamedTuple):
    """A run's folder.

    Attributes:
        folder: where it lies.
        config: its configuration as plain values, of which nothing is looked up or built.
        identity: all values of it that can change a result, by dotted key.
        record: its ``result.json``, or its ``run.json`` where it has no result; empty if it has neither.
        scored: whether it has a result.
    """

    folder: Path
    config: Mapping[str, Any]
    identity: Mapping[str, Any]
    record: Mapping[str, Any]
    scored: bool

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.config["seed"])

    @property
    def strategy(self) -> str:
        """Name of its file in ``conf/strategy``, or of its class where that was not recorded."""
        name = self.record.get("strategy")
        return str(name) if name else _last_part(self.config.get("strategy", {}).get("_target_", "unknown strategy"))

    @property
    def protocol(self) -> str:
        """The protocol's cell, without a remark on deviations; empty if it has none."""
        return str(told(self.record)["protocol"] or "")

    @property
    def variant(self) -> tuple[str, ...] | None:
        """What deviates from the protocol; None without one, and where that was not recorded."""
        sentences = told(self.record)["variant"]
        return None if sentences is None else tuple(sentences)

    @property
    def targets(self) -> list[str]:
        """Names of the domains it is tested on."""
        return _names(self.config["target"])

    @property
    def sources(self) -> list[str]:
        """Names of the domains it is trained on."""
        return _names(self.config["sources"])

    @property
    def selection(self) -> str:
        """The rule that chose the checkpoint of its summary."""
        return str(self.record.get("selection", self.config.get("selection", "last")))

    def row(self, target: str, rule: str | None = None) -> Mapping[str, Any] | None:
        """The figures (0..1) on a target by a selection rule, its own by default, with the plain ranking."""
        for row in self.record.get("rows", ()) if self.scored else ():
            plain = row.get("ranking", COSINE) == COSINE
            if plain and (row["target"], row["selection"]) == (target, rule or self.selection):
                return cast(Mapping[str, Any], row)
        return None


class Queries(NamedTuple):
    """How each query of a target fared, in the order of its list.

    Attributes:
        names: (Q,) of the image files, without their folders.
        identities: (Q,).
        average_precision: (Q,) 0..1, NaN where the query has no match.
        first_rank: (Q,) of the first match, NaN likewise.
    """

    names: tuple[str, ...]
    identities: NDArray[np.int64]
    average_precision: NDArray[np.float64]
    first_rank: NDArray[np.float64]

    def figure(self, metric: str) -> NDArray[np.float64]:
        """(Q,) what a metric of :data:`METRICS` is the mean of."""
        if metric == "mAP":
            return self.average_precision
        return np.where(np.isnan(self.first_rank), np.nan, (self.first_rank == 1).astype(np.float64))


def run_folders(places: Sequence[Path]) -> list[Path]:
    """All folders of runs in and below some folders, each once; links to folders are not followed.

    Raises:
        InputError: a place is no folder, or none holds a run.
    """
    found: dict[Path, Path] = {}
    for place in places:
        if not place.is_dir():
            raise InputError(f"{place}: no such folder; give folders of runs, or one that holds them")
        for folder, below, files in os.walk(place):
            if CONFIG in files and (RECORD in files or RESULT in files):
                found.setdefault(Path(folder).resolve(), Path(folder))
                below.clear()
            below[:] = sorted(name for name in below if not name.startswith("."))
    if not found:
        raise InputError(
            f"{', '.join(map(str, places))}: no run there, which is a folder with {CONFIG} and {RECORD}; "
            "runs are below runs/ if nothing else was asked for"
        )
    return sorted(found.values())


def read_run(folder: Path) -> Run:
    """What a run's folder says.

    Raises:
        InputError: a file of it is damaged, or no run's.
    """
    config = cast(dict[str, Any], OmegaConf.to_container(plain_config(folder / CONFIG)))
    scored = (folder / RESULT).is_file()
    file = folder / (RESULT if scored else RECORD)
    record = stored_json(file) if file.is_file() else {}
    _check_config(folder / CONFIG, config)
    _check_record(file, record, scored)
    return Run(folder, config, what_it_is(config), record, scored)


@cache
def read_queries(folder: Path, target: str) -> Queries | None:
    """The list of queries of a run's own selection; None if it has none.

    Raises:
        InputError: the list is damaged.
    """
    several = folder / f"queries_{target}.csv"
    if Path(target).name != target:
        raise InputError(f"{folder}: {target!r} is no name of a target; {WAY_OUT}")
    file = several if several.is_file() else folder / "queries.csv"
    if not file.is_file():
        return None
    try:
        if file.stat().st_size > LARGEST_LIST:
            raise InputError(f"{file} has more than {LARGEST_LIST // 2**20} MB, which no run writes; {WAY_OUT}")
        with file.open(newline="", encoding="utf-8", errors="surrogateescape") as opened:
            rows = list(csv.reader(opened))
        if tuple(rows[0]) != COLUMNS:
            raise ValueError("other columns")
        return _queries(rows[1:])
    except (OSError, ValueError, IndexError, OverflowError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is damaged (no list of queries with {', '.join(COLUMNS)}); {WAY_OUT}") from error


def _queries(rows: Sequence[Sequence[str]]) -> Queries:
    if any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError("lines of other lengths")
    figures = np.array([[float(row[3] or "nan"), float(row[4] or "nan")] for row in rows]).reshape(-1, 2)
    precision, first_rank = figures.T
    if np.any(precision < 0) or np.any(precision > 1) or np.any(first_rank < 1):
        raise ValueError("figures out of their range")
    return Queries(
        names=tuple(row[0].replace("\\", "/").rpartition("/")[2] for row in rows),
        identities=np.array([int(row[1]) for row in rows], dtype=np.int64),
        average_precision=precision,
        first_rank=first_rank,
    )


def _check_config(file: Path, config: Mapping[str, Any]) -> None:
    kinds: dict[str, type | tuple[type, ...]] = {key: dict for key in ("data", "trainer") if key in config}
    kinds |= {"seed": int, "sources": (str, list), "target": (str, list), "strategy": dict}
    if config.get("target") in ([], ""):
        raise InputError(f"{file} is no run's configuration (no target); {WAY_OUT}")
    for key, kind in kinds.items():
        if not isinstance(config.get(key), kind):
            raise InputError(f"{file} is no run's configuration (no {key}, or another kind of value); {WAY_OUT}")


def _check_record(file: Path, record: Mapping[str, Any], scored: bool) -> None:
    """Refuses values of other kinds than a run writes, so that nothing behind has to ask again."""
    kinds: dict[str, Any] = {
        "weights": dict, "environment": dict, "targets": list, "batch": dict, "peak_memory_bytes": dict,
        "variant": (list, type(None)),
    }  # fmt: skip
    wrong = [key for key, kind in kinds.items() if key in record and not isinstance(record[key], kind)]
    wrong += [key for key in NUMBERS if key in record and not _is_number(record[key])]
    if "targets" not in wrong and not all(map(_is_target, record.get("targets", ()))):
        wrong.append("targets")
    for key in {"batch", "peak_memory_bytes"} & record.keys() - set(wrong):
        if not all(map(_is_number_or_text, record[key].values())):
            wrong.append(key)
    if scored and not (isinstance(record.get("rows"), list) and all(map(_is_row, record["rows"]))):
        wrong.append("rows")
    if wrong:
        raise InputError(f"{file} is damaged (another kind of value: {', '.join(wrong)}); {WAY_OUT}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= LARGEST_NUMBER


def _is_number_or_text(value: Any) -> bool:
    return isinstance(value, str) or _is_number(value)


def _is_target(target: Any) -> bool:
    """Whether it names a domain; what is told of its lists may be missing."""
    if not isinstance(target, dict) or not isinstance(target.get("name"), str):
        return False
    return all(isinstance(target.get(subset, {}), dict) for subset in ("query", "gallery"))


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("target", "selection")):
        return False
    return all(_is_share(row.get(metric)) for metric in METRICS)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1


def _names(value: str | Sequence[Any]) -> list[str]:
    return [value] if isinstance(value, str) else [str(name) for name in value]


def _last_part(name: object) -> str:
    return str(name).rpartition(".")[2]
