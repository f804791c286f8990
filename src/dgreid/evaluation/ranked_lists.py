"""What a person looks at, by image: ranked lists of chosen queries, and the table of all queries."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.matches import NO_MATCH, top_matches
from dgreid.evaluation.ranking import RetrievalResult
from dgreid.evaluation.similarity import ScoreBlock
from dgreid.files import write_atomically
from dgreid.types import ReIDRecord, SameCamera

COLUMNS = ("path", "identity", "camera", "AP", "first_rank")
MOST_IGNORED = 3
FORMULA = ("=", "+", "-", "@", "|", "%", "\t", "\r", "\n")


class RankedQuery(NamedTuple):
    """A query and its ranked list.

    Attributes:
        title: why it was chosen.
        query: its image.
        matches: the most similar gallery images, best first.
        correct: of each, whether it is a match.
        average_precision: of the query, 0..1.
        scores: of each, its similarity to the query.
        ignored: of each, whether the camera rule takes it out of the ranking, so that it has no rank.
    """

    title: str
    query: ReIDRecord
    matches: Sequence[ReIDRecord]
    correct: Sequence[bool]
    average_precision: float
    scores: Sequence[float]
    ignored: Sequence[bool]


def telling_queries(result: RetrievalResult, each: int = 2, seed: int = 0) -> dict[str, int]:
    """Valid queries to look at by title: those of best and of worst average precision, and some drawn from the rest.

    Equal precisions go by the smaller index, so a result always shows the same people.

    Args:
        result: the figures of all queries.
        each: how many of each kind; titles are ``best 1``, ``best 2``, ... A query comes once, so a small result has
            fewer.
        seed: of the draw.
    """
    valid = np.flatnonzero(result.valid)
    order = valid[np.argsort(-result.average_precision[valid], kind="stable")]
    best, rest = order[:each], order[each:]
    worst = rest[::-1][:each]
    drawn = np.random.default_rng(seed).permutation(rest[: rest.size - worst.size])[:each]
    kinds = {"best": best, "worst": worst, "random": drawn}
    return {f"{kind} {place}": int(row) for kind, rows in kinds.items() for place, row in enumerate(rows, start=1)}


def ranked_queries(
    chosen: dict[str, int],
    result: RetrievalResult,
    block: ScoreBlock,
    records: Sequence[ReIDRecord],
    k: int = 10,
    same_camera: SameCamera = "ignore",
) -> list[RankedQuery]:
    """The ranked lists of some queries, under the rules that the figures follow.

    Args:
        chosen: query index by title, as :func:`telling_queries` gives them.
        result: the figures of all queries.
        block: similarities of the chosen queries alone, in their order, to the gallery.
        records: the N images, queries first.
        k: how many images that count a list has; up to three that are ignored stand between them.
        same_camera: the camera rule of the figures.

    Raises:
        InputError: shapes do not fit or a similarity is NaN.
    """
    asked, gallery = [records[row] for row in chosen.values()], records[len(result.valid) :]
    labels = labels_of(asked), labels_of(gallery)
    found = top_matches(block, *labels, k, same_camera, MOST_IGNORED)
    lists = []
    for position, (title, row) in enumerate(chosen.items()):
        kept = found.indices[position] != NO_MATCH
        lists.append(
            RankedQuery(
                title=title,
                query=records[row],
                matches=[gallery[index] for index in found.indices[position, kept]],
                correct=found.correct[position, kept].tolist(),
                average_precision=float(result.average_precision[row]),
                scores=found.scores[position, kept].tolist(),
                ignored=found.ignored[position, kept].tolist(),
            )
        )
    return lists


def labels_of(records: Sequence[ReIDRecord]) -> Labels:
    """Identities and cameras of images."""
    return Labels(
        np.array([record.identity for record in records], dtype=np.int64),
        np.array([record.camera for record in records], dtype=np.int64),
    )


def write_queries(path: Path, records: Sequence[ReIDRecord], result: RetrievalResult) -> Path:
    """Writes ``queries.csv``: path, identity, camera, AP (0..1) and first rank; the last two empty without a match.

    Args:
        path: the file to write.
        records: the queries, in the order of the result.
        result: the figures.

    Raises:
        InputError: not one image for each query.
    """
    if len(records) != len(result.valid):
        raise InputError(f"{len(records)} images but figures of {len(result.valid)} queries; give one image each")

    def write(temporary: Path) -> None:
        # Names of files need not be text: bytes that are none are kept.
        with temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.writer(file, lineterminator="\n")
            quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
            table.writerow(COLUMNS)
            for record, *figures in zip(
                records, result.average_precision, result.first_rank, result.valid, strict=True
            ):
                precision, first_rank, valid = figures
                told = (repr(float(precision)), int(first_rank)) if valid else ("", "")
                # A lone \r is a line's end to readers and spreadsheets, and is not quoted by itself.
                row = table if "\r" not in str(record.path) else quoting
                row.writerow((_no_formula(record.path), record.identity, record.camera, *told))

    return write_atomically(path, write)


def _no_formula(path: Path) -> str:
    """The path, as another name of the same file where a spreadsheet would take its name for a formula."""
    return f"./{path}" if str(path).startswith(FORMULA) else str(path)
