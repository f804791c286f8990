"""Pictures of a table's methods: matrices, CMC, curves of training, ranked galleries."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgreid.data.images import read_image
from dgreid.errors import InputError
from dgreid.evaluation.figures import cmc_curves, training_curves
from dgreid.loggers import read_metrics
from dgreid.report.grouping import Row, Sheet
from dgreid.report.matrix_picture import matrix_picture
from dgreid.report.reading import read_queries
from dgreid.report.results_table import Place, spread_at
from dgreid.report.text import plain
from dgreid.run.scoring import PICTURES
from dgreid.run.stored import WAY_OUT

RANKS = 20
GALLERY_SIZE = (1200, 900)  # pixels it fits into
QUALITY = 80
MOST_GALLERIES = 48
METRICS = "metrics.csv"
MOST_STEPS = 10**12


class Picture(NamedTuple):
    """A picture.

    Attributes:
        title: what it shows.
        address: its content as a ``data:`` address.
        section: under which heading it stands.
    """

    title: str
    address: str
    section: str


def pictures(sheet: Sheet) -> list[Picture]:
    """All pictures of a table that its runs have data for.

    Raises:
        InputError: a file of a run is damaged.
    """
    return [*_matrices(sheet), *_cmc(sheet), *_training(sheet), *_galleries(sheet)]


def trained_on_others(sheet: Sheet) -> dict[str, list[Row]]:
    """Methods that were trained on several sets of sources, with a row for each; by what else they are."""
    groups: dict[str, list[Row]] = {}
    for row in sheet.rows:
        settings = {key: value for key, value in row.settings.items() if key != "sources"}
        groups.setdefault(json.dumps([row.runs[0].strategy, settings], sort_keys=True), []).append(row)
    return {plain(rows[0].name.partition(", sources=")[0]): rows for rows in groups.values() if len(rows) > 1}


def _matrices(sheet: Sheet) -> Iterator[Picture]:
    if len(sheet.rows) > 1 and len(sheet.targets) > 1:
        values = {plain(row.name): _precisions(row, sheet) for row in sheet.rows}
        if any(values.values()):
            yield Picture("mAP in % of each method on each target", _drawn(_matrix(values, "target")), "Matrices")
    for name, rows in trained_on_others(sheet).items():
        title = f"mAP in % of {name}, trained on each row and tested on each column"
        values = {plain("+".join(row.runs[0].sources)): _precisions(row, sheet) for row in rows}
        if any(values.values()):
            yield Picture(title, _drawn(_matrix(values, "target")), "Matrices")


def _precisions(row: Row, sheet: Sheet) -> dict[str, float]:
    found = {target: spread_at(row, Place(target, "mAP"), sheet) for target in sheet.targets}
    return {target: one.mean for target, one in found.items() if one is not None}


def _matrix(values: Mapping[str, Mapping[str, float]], across: str) -> Callable[[Path], Path]:
    return lambda path: matrix_picture(values, across, path)


def _cmc(sheet: Sheet) -> Iterator[Picture]:
    for target in sheet.targets:
        curves = {plain(row.name): curve for row in sheet.rows if (curve := cmc(row, target)) is not None}
        if curves:
            title = f"{target}: queries with a match up to each rank, mean over seeds"
            yield Picture(title, _drawn(partial(cmc_curves, curves)), "CMC")


def cmc(row: Row, target: str) -> NDArray[np.float64] | None:
    """A method's shares (0..1) of queries with a match up to ranks 1 to 20, the mean over its seeds.

    Args:
        row: the method.
        target: name of the domain.
    """
    lists = [found for run in row.on(target) if run.scored and (found := read_queries(run.folder, target)) is not None]
    ranks = [found.first_rank[~np.isnan(found.first_rank)] for found in lists]
    known = [first for first in ranks if first.size]
    if not known:
        return None
    return np.mean([(first[:, None] <= np.arange(1, RANKS + 1)).mean(axis=0) for first in known], axis=0)


def _training(sheet: Sheet) -> Iterator[Picture]:
    for target in sheet.targets:
        merged = [line for row in sheet.rows for line in _curve(row, target)]
        if merged:
            title = f"{target}: losses of the first seed, and mAP where it was taken in training"
            yield Picture(title, _drawn(partial(training_curves, merged)), "Training")


def _curve(row: Row, target: str) -> list[dict[str, str]]:
    """The total loss and the mAP of a method's first run, under names that :func:`training_curves` draws."""
    run = next(iter(row.on(target)), None)
    if run is None or not (run.folder / METRICS).is_file():
        return []
    lines = []
    try:
        for found in read_metrics(run.folder / METRICS):
            line = {f"loss of {plain(row.name)}": found.get("loss") or ""}
            line |= {
                f"{plain(row.name)}, {plain(name.rpartition('/')[0])}/mAP": value
                for name, value in found.items()
                if name and name.endswith("/mAP") and value
            }
            shown = {name: value for name, value in line.items() if value and math.isfinite(float(value))}
            if shown:
                lines.append({"step": _step(found["step"]), **shown})
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{run.folder / METRICS} is damaged (no table of numbers by step); {WAY_OUT}") from error
    return lines


def _step(text: str) -> str:
    if not 0 <= int(text) <= MOST_STEPS:
        raise ValueError("no number of steps")
    return str(int(text))


def _galleries(sheet: Sheet) -> Iterator[Picture]:
    shown = 0
    for target in sheet.targets:
        for row in sheet.rows:
            run = next(iter(row.on(target)), None)
            file = run.folder / PICTURES / f"ranked_{target}.png" if run is not None else None
            if file is not None and file.is_file() and shown < MOST_GALLERIES:
                shown += 1
                yield Picture(
                    f"{target}: {row.name}, seed {run.seed if run else 0}", _reduced(file), "Ranked galleries"
                )


def _drawn(draw: Callable[[Path], Path]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        content = draw(Path(folder) / "picture.png").read_bytes()
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def _reduced(path: Path) -> str:
    """An image of a run, decoded and encoded again, so that nothing but its pixels gets into the page."""
    picture = Image.fromarray(read_image(path))
    picture.thumbnail(GALLERY_SIZE)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
