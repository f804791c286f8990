"""``result.json``: a row per target and selection rule, with all that makes the numbers a claim."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dgreid.data.domains.base import Domain, list_hash
from dgreid.evaluation.pictures import Observations
from dgreid.evaluation.ranking import RetrievalResult
from dgreid.evaluation.scoring import COSINE
from dgreid.files import write_json
from dgreid.run.activation_maps import Activations
from dgreid.run.folder import FORMAT, RESULT
from dgreid.types import ReIDRecord

SHOWN = {"mAP": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mINP": "mINP"}


class Row(NamedTuple):
    """One evaluation.

    Attributes:
        target: name of the domain tested on.
        rule: how the checkpoint was chosen: last, source, oracle, initial before training, or a file's path.
        step: optimizer steps its weights took; None if the file does not say.
        result: the metrics.
        seen: whether other people of the target's domain were trained on; None if that is not known.
        queries: the query images, in the order of the result.
        ranking: what ranked the gallery: ``cosine``, ``expanded``, ``re-ranked`` or ``expanded, re-ranked``.
        figures: further figures as plain values, by name.
        observed: what its pictures show; None for further rankings.
        activations: where the net was active on a few images, likewise.
    """

    target: str
    rule: str
    step: int | None
    result: RetrievalResult
    seen: bool | None
    queries: Sequence[ReIDRecord]
    ranking: str = COSINE
    figures: Mapping[str, Any] = MappingProxyType({})
    observed: Observations | None = None
    activations: Activations | None = None

    def record(self) -> dict[str, Any]:
        """The row as plain values; metrics in 0..1."""
        domain = {True: "seen domain", False: "unseen domain", None: "not known whether seen"}[self.seen]
        return {
            "target": self.target, "selection": self.rule, "step": self.step, "domain": domain,
            "ranking": self.ranking, **self.result.summary(), **self.figures,
        }  # fmt: skip


def target_record(name: str, domain: Domain) -> dict[str, Any]:
    """What was tested on: sizes and a hash of both lists."""
    record: dict[str, Any] = {"name": name}
    for subset in ("query", "gallery"):
        records = domain.records(subset)
        record[subset] = {
            "images": len(records),
            "identities": len({r.identity for r in records}),
            "list_hash": list_hash(records, domain.root),
        }
    return record


def versions(*domains: Mapping[str, Domain]) -> dict[str, str]:
    """Which release, crops and split each of some data sets is, by name."""
    return {name: domain.version for some in domains for name, domain in some.items()}


def write_result(folder: Path, rows: Sequence[Row], selection: str, facts: Mapping[str, Any]) -> Path:
    """Writes ``result.json``.

    Args:
        folder: where it goes.
        rows: every evaluation.
        selection: the rule that ``summary`` means, which is of plain rankings.
        facts: protocol, domains, seed, steps, weights, preprocessing, times, memory, environment.
    """
    summary = {row.target: row.record() for row in rows if row.rule == selection and row.ranking == COSINE}
    content = {
        "format": FORMAT,
        "selection": selection,
        "summary": summary,
        "rows": [r.record() for r in rows],
        **facts,
    }
    return write_json(folder / RESULT, content)


def summary_keys(rows: Sequence[Row]) -> dict[str, float]:
    """The rows as single numbers, for dashboards: ``<rule>/<target>/<metric>``, and ``<rule>/<metric>`` on average.

    A further ranking stands after the rule: ``last re-ranked/...``.
    """
    found: dict[str, float] = {}
    values: dict[str, list[float]] = {}
    for row in rows:
        rule = row.rule if row.ranking == COSINE else f"{row.rule} {row.ranking}"
        for metric, value in row.result.summary().items():
            found[f"{rule}/{row.target}/{metric}"] = value
            if metric in SHOWN:
                values.setdefault(f"{rule}/{metric}", []).append(value)
    return {**found, **{key: statistics.fmean(several) for key, several in values.items()}}


def print_table(rows: Sequence[Row]) -> None:
    """The rows as a table on the terminal, in percent."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("target", overflow="fold")
    table.add_column("weights", overflow="fold")
    table.add_column("step", justify="right")
    several = any(row.ranking != COSINE for row in rows)
    if several:
        table.add_column("ranking", overflow="fold")
    for name in SHOWN.values():
        table.add_column(name, justify="right")
    for row in rows:
        target = f"{row.target} (seen domain)" if row.seen else row.target
        summary = row.result.summary()
        weights = "untrained" if row.rule == "initial" else Path(row.rule).name
        step, ranking = "?" if row.step is None else str(row.step), [row.ranking] * several
        table.add_row(target, weights, step, *ranking, *(f"{100 * summary[key]:.1f}" for key in SHOWN))
    console = Console()
    console.print(table)
    for row in {row.target: row for row in rows if row.result.summary()["invalid_queries"]}.values():
        invalid = row.result.summary()["invalid_queries"]
        console.print(f"{row.target}: {invalid} queries have no valid match in the gallery and are not counted")
