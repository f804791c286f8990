"""Figures of files of embeddings as tables on the terminal, in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dgreid.evaluation.bootstrap import Interval
from dgreid.evaluation.embedding_files.comparison import Difference
from dgreid.evaluation.embedding_files.scored_file import Scored

Labelled: TypeAlias = tuple[tuple[str, str], dict[str, Any]]
"""Name of the file and ranking, and the figures."""

FIGURES = {"mAP": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mINP": "mINP"}
SHORT = {"rank1_deviation": "± Rank-1", "genuine_pairs": "genuine", "impostor_pairs": "impostors", "repeats": "draws"}


def print_scores(scores: Mapping[str, Sequence[Scored]]) -> None:
    """The usual figures: a row for each file and ranking."""
    rows = [
        (name, scored.ranking, *(percent(scored.result.summary()[key]) for key in FIGURES))
        for name, rankings in scores.items()
        for scored in rankings
    ]
    _print(("embeddings", "ranking", *FIGURES.values()), rows)


def print_differences(found: Mapping[str, Sequence[Difference]]) -> None:
    """What the paired bootstrap says, for each ranking; a star where an interval excludes 0."""
    for ranking, differences in found.items():
        if not differences:
            continue
        first = differences[0]
        unit = "queries" if first.unit == "query" else "identities"
        interval = first.mean_average_precision
        rows = [(d.method, *_cells(d.mean_average_precision), *_cells(d.rank1)) for d in differences]
        level = f"{100 * interval.level:g} %"
        print(
            f"\nminus {first.baseline}, {ranking}, in percentage points\n({level} intervals of "
            f"{interval.resamples:,} paired resamples of {interval.units:,} {unit}; * excludes 0)"
        )
        _print(("embeddings", "mAP", f"{level} interval", "Rank-1", f"{level} interval"), rows)


def print_further_figures(scores: Mapping[str, Sequence[Scored]]) -> None:
    """What was asked for besides: a table for each kind of figure."""
    labelled = [((name, one.ranking), one.figures) for name, rankings in scores.items() for one in rankings]
    _print_kind("verification over all pairs: true accepts at false accept rates", "verification", labelled)
    _print_kind("a single gallery shot of each identity (±: deviation over draws)", "single_shot", labelled)
    _print_parts("not in the gallery: rightly answered (TPIR), falsely answered (FPIR)", "open_set", "rate", labelled)
    _print_parts("queries of one camera, gallery of another", "camera_pairs", "cameras", labelled)


def percent(share: float | None) -> str:
    """A share 0..1 as percent with one digit, a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f}"


def _print_kind(title: str, kind: str, labelled: Sequence[Labelled]) -> None:
    """A row for each ranking."""
    rows = [((*label,), figures[kind]) for label, figures in labelled if kind in figures]
    _print_rows(title, ("embeddings", "ranking"), rows)


def _print_parts(title: str, kind: str, part: str, labelled: Sequence[Labelled]) -> None:
    """A row for each part of each ranking."""
    rows = [((*label, name), found) for label, figures in labelled for name, found in figures.get(kind, {}).items()]
    _print_rows(title, ("embeddings", "ranking", part), rows)


def _print_rows(title: str, labels: Sequence[str], rows: Sequence[tuple[tuple[str, ...], dict[str, Any]]]) -> None:
    if rows:
        print(f"\n{title}")
        columns = [_column(key) for key in rows[0][1]]
        _print((*labels, *columns), [(*label, *(_cell(*item) for item in found.items())) for label, found in rows])


def _column(key: str) -> str:
    """A figure's name as short as its table's title permits."""
    for prefix in ("TAR@FAR=", "single_shot_", "open_set_"):
        key = key.removeprefix(prefix)
    return FIGURES.get(key, SHORT.get(key, key.replace("_", " ")))


def _cell(key: str, value: float | int | None) -> str:
    """Numbers of images and pairs as they are, thresholds with four digits, all else in percent."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if value is not None and "threshold" in key else percent(value)


def _cells(interval: Interval) -> tuple[str, str]:
    star = "*" if interval.excludes_zero else " "
    return f"{100 * interval.difference:+.1f}{star}", f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def _print(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        is_text = number == 0 or column == "ranking"
        words = (word for row in rows for word in row[number].split()) if column == "ranking" else ()
        table.add_column(
            column, overflow="fold", justify="left" if is_text else "right", no_wrap=not is_text,
            min_width=max(map(len, (column, *words))),
        )  # fmt: skip
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
