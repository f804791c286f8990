"""Published results, from a data file that gives each figure its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FILE = Path(__file__).with_name("published.yaml")
NUMBER = r"(\d+\.\d+)(?:±(\d+\.\d+))?"
SCORES = re.compile(rf"(?:{NUMBER}|~)/(?:{NUMBER}|~)")
# What a list says of methods under either of two protocols stands beside both, marked.
ALSO = {"il": ("leave_one_out",), "m3l_recommended": ("leave_one_out",)}


class Score(NamedTuple):
    """A method's figures on a target, in percent.

    Attributes:
        mean_average_precision: None where it is not reported.
        rank1: likewise.
        precision_deviation: standard deviation over splits or seeds, where reported.
        rank1_deviation: likewise.
    """

    mean_average_precision: float | None
    rank1: float | None
    precision_deviation: float | None = None
    rank1_deviation: float | None = None


class Published(NamedTuple):
    """A row of a published table.

    Attributes:
        protocol: group of protocols, for instance ``il``.
        method: as the table names it.
        scores: by name of the target's domain.
        average: over the table's targets, as the table states it; None if it does not.
        source: where it stands.
        remarks: what a reader has to know of it.
        marks: the remarks' short names.
    """

    protocol: str
    method: str
    scores: Mapping[str, Score]
    average: Score | None
    source: str
    remarks: tuple[str, ...]
    marks: tuple[str, ...]


@cache
def all_published() -> tuple[Published, ...]:
    """Every row of the data file, table after table."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return tuple(_row(content, table, row) for table in content["tables"] for row in table["rows"])


def published(protocol: str) -> list[Published]:
    """The rows of a group of protocols, and those that may be of it.

    Args:
        protocol: the name's part before the slash, for instance ``p3``.
    """
    groups = (protocol, *ALSO.get(protocol, ()))
    return [row for row in all_published() if row.protocol in groups]


def _row(content: Mapping[str, Any], table: Mapping[str, Any], row: Mapping[str, Any]) -> Published:
    marks = (*table.get("remarks", ()), *row.get("remarks", ()))
    scores = {
        target: _score(text) for target, text in zip(table["targets"], row["scores"], strict=True) if text is not None
    }
    return Published(
        protocol=table["protocol"],
        method=row["method"],
        scores=scores,
        average=_score(row["average"]) if "average" in row else None,
        source=content["sources"][row.get("source", table["source"])],
        remarks=tuple(content["remarks"][mark] for mark in marks),
        marks=marks,
    )


def _score(text: str) -> Score:
    found = SCORES.fullmatch(text)
    if found is None:
        raise ValueError(f"{FILE}: {text} is not mAP/Rank-1 in percent")
    precision, precision_deviation, rank1, rank1_deviation = (
        None if value is None else float(value) for value in found.groups()
    )
    return Score(precision, rank1, precision_deviation, rank1_deviation)
