"""All figures as one CSV file: a line for each method, target and selection rule, measured or published."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from dgreid.report.comparison import Difference, Resampling
from dgreid.report.grouping import Row, Sheet
from dgreid.report.published import Score, published
from dgreid.report.reading import METRICS
from dgreid.report.results_table import Place, difference_at, spread_at
from dgreid.report.spread import Spread
from dgreid.report.text import table_value

COLUMNS = (
    "kind", "protocol", "method", "target", "selection", "seeds", "mAP", "mAP_deviation", "rank1", "rank1_deviation",
    "baseline", "mAP_difference", "mAP_low", "mAP_high", "rank1_difference", "rank1_low", "rank1_high",
    "interval_covers", "initial_weights", "variant", "source",
)  # fmt: skip
MEAN = "mean"
RECORDED_PLACES = 4


def csv_report(sheets: Sequence[Sheet], baselines: Sequence[Row | None], resampling: Resampling) -> str:
    """The file's text; figures in percent, differences in points.

    Args:
        sheets: the tables.
        baselines: of each table.
        resampling: for the intervals.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for sheet, baseline in zip(sheets, baselines, strict=True):
        lines = [line for row in sheet.rows for line in _measured(row, sheet, baseline, resampling)]
        for line in lines + _published(sheet):
            writer.writerow({key: table_value(str(value)) for key, value in line.items() if value is not None})
    return file.getvalue()


def _measured(row: Row, sheet: Sheet, baseline: Row | None, resampling: Resampling) -> list[dict[str, object]]:
    rules = sorted({str(found["selection"]) for run in row.runs for found in run.record.get("rows", ())})
    targets = [*sheet.targets, *([""] if len(sheet.targets) > 1 else [])]
    lines = []
    for target in targets:
        for rule in rules:
            line: dict[str, object] = {
                "kind": "measured", "protocol": sheet.title, "method": row.name, "target": target or MEAN,
                "selection": rule, "initial_weights": row.weights,
                "variant": "not recorded" if row.variant is None else "; ".join(row.variant),
            }  # fmt: skip
            for metric in METRICS:
                line.update(_spread(spread_at(row, Place(target, metric), sheet, rule), metric))
            if "mAP" not in line:
                continue
            if baseline is not None and row is not baseline and rule == row.selection == baseline.selection:
                line["baseline"] = baseline.name
                for metric in METRICS:
                    place = Place(target, metric)
                    line.update(_difference(difference_at(row, baseline, place, sheet, resampling), metric))
            lines.append(line)
    return lines


def _spread(found: Spread | None, metric: str) -> dict[str, object]:
    if found is None:
        return {}
    deviation = None if found.deviation is None else _percent(found.deviation)
    return {"seeds": found.seeds, metric: _percent(found.mean), f"{metric}_deviation": deviation}


def _difference(found: Difference | None, metric: str) -> dict[str, object]:
    if found is None:
        return {}
    ends = {"difference": found.value, "low": found.low, "high": found.high}
    line: dict[str, object] = {f"{metric}_{name}": _percent(end) for name, end in ends.items() if end is not None}
    return {**line, "interval_covers": found.covers}


def _published(sheet: Sheet) -> list[dict[str, object]]:
    lines = []
    for row in published(sheet.protocol):
        told = {"kind": "published", "protocol": row.protocol, "method": row.method}
        source = "; ".join((row.source, *row.remarks))
        scores = {**row.scores, **({MEAN: row.average} if row.average is not None else {})}
        lines += [{**told, "target": target, **_score(score), "source": source} for target, score in scores.items()]
    return lines


def _score(score: Score) -> dict[str, object]:
    return {
        "mAP": score.mean_average_precision, "mAP_deviation": score.precision_deviation,
        "rank1": score.rank1, "rank1_deviation": score.rank1_deviation,
    }  # fmt: skip


def _percent(share: float) -> float:
    return round(100 * share, RECORDED_PLACES)
