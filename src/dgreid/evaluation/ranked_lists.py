"""What a person looks at, by image: ranked lists of chosen queries, and the table of all queries."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.matches import NO_MATCH, top_matches
from dgreid.evaluation.ranking import RetrievalResult
from dgreid.files import write_atomically
from dgreid.types import ReIDRecord

COLUMNS = ("path", "identity", "camera", "AP", "first_rank")


class RankedQuery(NamedTuple):
    """A query and its ranked list.

    Attributes:
        title: why it was chosen.
        query: its image.
        matches: the most similar gallery images, best first.
        correct: of each, whether it shows the query's identity.
        average_precision: of the query, 0..1.
    """

    title: str
    query: ReIDRecord
    matches: Sequence[ReIDRecord]
    correct: Sequence[bool]
    average_precision: float


def telling_queries(result: RetrievalResult) -> dict[str, int]:
    """The valid queries of best, median and worst average precision, by that word; fewer if there are fewer.

    Equal precisions go by the smaller index, so a result always shows the same people.
    """
    valid = np.flatnonzero(result.valid)
    order = valid[np.argsort(-result.average_precision[valid], kind="stable")]
    places = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    chosen: dict[str, int] = {}
    for title, place in places.items():
        if int(order[place]) not in chosen.values():
            chosen[title] = int(order[place])
    return chosen


def ranked_queries(
    chosen: dict[str, int], result: RetrievalResult, embeddings: Tensor, records: Sequence[ReIDRecord], k: int = 10
) -> list[RankedQuery]:
    """The ranked lists of some queries, under the rules that the figures follow.

    Args:
        chosen: query index by title, as :func:`telling_queries` gives them.
        result: the figures of all queries.
        embeddings: (N, D) of queries, then gallery, at unit length.
        records: the N images in the same order.
        k: length of the lists.

    Raises:
        InputError: not one embedding for each image.
    """
    if len(embeddings) != len(records):
        raise InputError(f"{len(embeddings)} embeddings but {len(records)} images; give one row for each image")
    count, rows = len(result.valid), list(chosen.values())
    asked, gallery = [records[row] for row in rows], records[count:]
    found = top_matches(embeddings[rows], embeddings[count:], _labels(asked), _labels(gallery), k)
    lists = []
    for title, row, indices, correct in zip(chosen, rows, found.indices, found.correct, strict=True):
        kept = int((indices != NO_MATCH).sum())
        matches = [gallery[index] for index in indices[:kept]]
        precision = float(result.average_precision[row])
        lists.append(RankedQuery(title, records[row], matches, correct[:kept].tolist(), precision))
    return lists


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
        with temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            for record, *figures in zip(
                records, result.average_precision, result.first_rank, result.valid, strict=True
            ):
                precision, first_rank, valid = figures
                told = (repr(float(precision)), int(first_rank)) if valid else ("", "")
                table.writerow((record.path, record.identity, record.camera, *told))

    return write_atomically(path, write)


def _labels(records: Sequence[ReIDRecord]) -> Labels:
    return Labels(
        np.array([record.identity for record in records], dtype=np.int64),
        np.array([record.camera for record in records], dtype=np.int64),
    )
