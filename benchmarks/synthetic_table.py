"""What the finished cells of the synthetic benchmark say: records for JSON, tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from resolution import Scores, Spread, difference, of_cell, smallest_difference, within_cells, within_pairs
from synthetic_cells import METHODS, TARGETS, Cell

from dgreid.errors import InputError
from dgreid.synthetic.draws import VERSION

METRICS = {"mAP": "mAP", "rank1": "Rank-1"}
BASE = "fb"  # what every method is compared with
NOTHING = "-"


def record(cell: Cell) -> dict[str, Any]:
    """A finished cell as plain values; metrics in 0..1."""
    result, seen = cell.result(), cell.seen_result()
    row = result["summary"][f"synthetic_{cell.target}"]
    environment = result["environment"]
    return {
        "method": cell.method, "target": cell.target, "seed": cell.seed,
        **{metric: row[metric] for metric in METRICS},
        "seen": seen and {
            name: {metric: seen[f"synthetic_{name}"][metric] for metric in METRICS}
            for name in TARGETS if name != cell.target
        },
        "training_seconds": result["training_seconds"], "steps": result["steps"],
        "commit": environment["commit"], "threads": environment["threads"], "device": environment["device"],
        "torch": environment["packages"]["torch"], "fingerprint": result["fingerprint"],
    }  # fmt: skip


def size(cells: Sequence[Cell]) -> dict[str, Any]:
    """What all cells have in common.

    Raises:
        InputError: they do not, and belong in no table together.
    """
    sizes = [size_of(cell.configuration()) for cell in cells]
    for cell, other in zip(cells, sizes, strict=True):
        differing = [name for name, value in sizes[0].items() if other[name] != value]
        if differing:
            raise InputError(
                f"{cell.folder} is of another benchmark than {cells[0].folder} (different {', '.join(differing)}); "
                "choose cells of one by --methods, --targets, --seeds, or another --folder"
            )
    return sizes[0]


def size_of(configuration: dict[str, Any]) -> dict[str, Any]:
    """What one run's configuration says of the benchmark, rather than of the method."""
    data, drawn = configuration["data"], configuration["synthetic"]
    return {
        "synthetic_version": VERSION,
        "synthetic": {name: value for name, value in drawn.items() if name != "folder"},
        "epochs": configuration["epochs"],
        "steps": configuration["epochs"] * configuration["steps_per_epoch"],
        "batch_of_each_source": {name: data[name] for name in ("identities_per_batch", "images_per_identity")},
        "image": {name: data[name] for name in ("height", "width")},
        "transform": data["transform"],
        "net": {name: value for name, value in configuration["net"].items() if name != "neck_bias"},
        "optim": configuration["optim"],
        "schedule": configuration["schedule"],
        "selection": configuration["selection"],
    }


def summary(records: Sequence[dict[str, Any]], targets: Sequence[str]) -> dict[str, Any]:
    """What seeds resolve, by metric, in points of a hundred; see :mod:`resolution`."""
    found: dict[str, Any] = {}
    for metric in METRICS:
        scores = scores_of(records, metric)
        seeds = len({record["seed"] for record in records})
        for name, spread in (("within_cells", within_cells(scores)), ("within_pairs", within_pairs(scores))):
            if spread is not None:
                found.setdefault(metric, {})[name] = resolved(spread, seeds, len(targets))
    return found


def resolved(spread: Spread, seeds: int, targets: int) -> dict[str, Any]:
    """A spread and the smallest significant differences that follow from it."""
    return {
        "standard_deviation": spread.deviation,
        "degrees_of_freedom": spread.degrees,
        "seeds": seeds,
        "targets": targets,
        "smallest_difference_on_one_target": smallest_difference(spread, seeds),
        "smallest_difference_on_mean_over_targets": smallest_difference(spread, seeds * targets),
    }


def scores_of(records: Iterable[dict[str, Any]], metric: str) -> Scores:
    """By method, target and seed, in points of a hundred."""
    return {(one["method"], one["target"], one["seed"]): 100 * one[metric] for one in records}


def tables(records: Sequence[dict[str, Any]], targets: Sequence[str]) -> str:
    """All tables in Markdown; rows and columns without a finished cell are left out or empty."""
    methods = [method for method in METHODS if any(one["method"] == method for one in records)]
    parts = [comparison(records, metric, methods, targets) for metric in METRICS]
    parts += [resolution_table(summary(records, targets)), costs(records, methods)]
    if any(one["seen"] for one in records):
        parts.append(seen_table(records, methods, targets))
    return "\n\n".join(part for part in parts if part)


def comparison(records: Sequence[dict[str, Any]], metric: str, methods: Sequence[str], targets: Sequence[str]) -> str:
    """Mean ± standard deviation over seeds, on each target and on the mean over targets."""
    scores = scores_of(records, metric)
    seeds = sorted({seed for _, _, seed in scores})
    rows = []
    for method in methods:
        # A seed's mean over targets exists if it has them all.
        of_seeds = [[scores.get((method, target, seed)) for target in targets] for seed in seeds]
        means = [statistics.fmean(values) for values in map(without_gaps, of_seeds) if values]
        cells = [spread_text(of_cell(scores, method, target), len(seeds)) for target in targets]
        rows.append([f"`{method}`", *cells, spread_text(means, len(seeds)), difference_text(scores, method, targets)])
    columns = [f"mean of {len(targets)}", f"to `{BASE}` ± s.e."]
    return markdown([f"{METRICS[metric]}, unseen target", *map(code, targets), *columns], rows)


def without_gaps(values: list[float | None]) -> list[float]:
    """All values, or none of them if one is missing."""
    present = [value for value in values if value is not None]
    return present if len(present) == len(values) else []


def spread_text(values: Sequence[float], expected: int) -> str:
    """Mean ± sample standard deviation; with their number where it is not the expected one."""
    if not values:
        return NOTHING
    text = f"{statistics.fmean(values):.1f}"
    text += f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return text if len(values) == expected else f"{text} ({len(values)} of {expected})"


def difference_text(scores: Scores, method: str, targets: Sequence[str]) -> str:
    """How much better than the base a method is on the mean over targets, with the standard error."""
    found = difference(scores, method, BASE, tuple(targets)) if method != BASE else None
    if found is None:
        return NOTHING
    return f"{found.value:+.1f}" + ("" if found.error is None else f" ± {found.error:.1f}")


def resolution_table(found: dict[str, Any]) -> str:
    """The smallest significant differences; nothing without repeated cells."""
    names = {"within_cells": "runs as they are", "within_pairs": "paired by target and seed"}
    rows = [
        [
            f"{METRICS[metric]}, {names[name]}",
            f"{one['standard_deviation']:.2f}",
            str(one["degrees_of_freedom"]),
            f"{one['smallest_difference_on_one_target']:.1f}",
            f"{one['smallest_difference_on_mean_over_targets']:.1f}",
        ]
        for metric, spreads in found.items()
        for name, one in spreads.items()
    ]
    head = ["smallest difference at 5 %", "s.d. of a run", "d.f.", "on one target", "on their mean"]
    return markdown(head, rows) if rows else ""


def costs(records: Sequence[dict[str, Any]], methods: Sequence[str]) -> str:
    """Median seconds of training, with what they were measured on."""
    rows = []
    for method in methods:
        seconds = [one["training_seconds"] for one in records if one["method"] == method]
        rows.append([f"`{method}`", str(len(seconds)), f"{statistics.median(seconds):.0f}"])
    return markdown(["method", "runs", "median s/run"], rows)


def seen_table(records: Sequence[dict[str, Any]], methods: Sequence[str], targets: Sequence[str]) -> str:
    """The mAP on each domain's own test set where it was a source, beside where it was the unseen target."""
    rows = []
    for method in methods:
        mine = [one for one in records if one["method"] == method]
        pairs = []
        for target in targets:
            seen = [100 * one["seen"][target]["mAP"] for one in mine if one["seen"] and target in one["seen"]]
            unseen = of_cell(scores_of(mine, "mAP"), method, target)
            pairs.append((statistics.fmean(seen), statistics.fmean(unseen)) if seen and unseen else None)
        whole = [pair for pair in pairs if pair is not None]
        mean = tuple(map(statistics.fmean, zip(*whole, strict=True))) if len(whole) == len(targets) else None
        gap = NOTHING if mean is None else f"{mean[0] - mean[1]:.1f}"
        rows.append([f"`{method}`", *map(pair_text, [*pairs, mean]), gap])
    return markdown(["mAP, seen → unseen", *map(code, targets), f"mean of {len(targets)}", "gap"], rows)


def pair_text(pair: tuple[float, ...] | None) -> str:
    """Two numbers with an arrow."""
    return NOTHING if pair is None else f"{pair[0]:.1f} → {pair[1]:.1f}"


def code(name: str) -> str:
    """In Markdown."""
    return f"`{name}`"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def conditions(records: Sequence[dict[str, Any]]) -> str:
    """What the numbers were made with; several values where cells differ."""
    names = ("commit", "torch", "threads", "device")
    return ", ".join(f"{name} {' / '.join(sorted({str(one[name]) for one in records}))}" for name in names)
