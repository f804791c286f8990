"""What scoring files of embeddings leaves on the disk: ``result.json``, tables of queries, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.embedding_files.comparison import Difference
from dgreid.evaluation.embedding_files.prepared_file import PreparedFile
from dgreid.evaluation.embedding_files.scored_file import Scored
from dgreid.evaluation.figures import cmc_curves, precision_recall_curves
from dgreid.evaluation.ranked_lists import write_queries
from dgreid.evaluation.scoring import COSINE
from dgreid.files import write_json
from dgreid.types import ReIDRecord

FORMAT = 1
RESULT = "result.json"
PICTURES = "pictures"
SELECTION = "embeddings"
NOT_KNOWN = "not known whether seen"


def require_new_folder(folder: Path) -> None:
    """Says before any work whether results can be written there.

    Raises:
        InputError: it is a file, or a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"--output {folder}: it exists and is not empty; choose another folder or remove it")


def file_facts(name: str, prepared: PreparedFile) -> dict[str, Any]:
    """What a file of embeddings is."""
    sets = {
        split: {"images": len(labels.identities), "identities": len(set(labels.identities.tolist()))}
        for split, labels in zip(("query", "gallery"), prepared.labels, strict=True)
    }
    return {
        "name": name,
        "path": str(prepared.path),
        "weights_hash": prepared.images.weights_hash or None,
        "list_hash": prepared.images.list_hash or None,
        "dimension": prepared.images.embeddings.shape[1],
        "scaled_to_unit_length": prepared.rescaled,
        **sets,
    }


def write_query_tables(folder: Path, queries: Sequence[ReIDRecord], scored: Sequence[Scored]) -> None:
    """Writes ``queries.csv``, and ``queries_2.csv`` and so on for further rankings.

    Args:
        folder: where they go.
        queries: the query images.
        scored: the rankings, the plain one first.
    """
    for number, ranking in enumerate(scored, start=1):
        write_queries(folder / ("queries.csv" if number == 1 else f"queries_{number}.csv"), queries, ranking.result)


def write_curves(
    folder: Path, scores: Mapping[str, Sequence[Scored]], precision: Mapping[str, NDArray[np.float64]]
) -> list[Path]:
    """Draws all methods in one picture: CMC of every ranking and, of several methods, precision over recall.

    Args:
        folder: where the PNG files go.
        scores: each method's rankings.
        precision: of each method's plain ranking, at equally spaced recalls.
    """
    cmc = {_label(name, one, found): one.result.cmc for name, found in scores.items() for one in found}
    pictures = [cmc_curves(cmc, folder / "cmc.png")]
    if len(scores) > 1:
        pictures.append(precision_recall_curves(precision, folder / "precision_recall.png"))
    return pictures


def write_scores(
    folder: Path,
    scores: Mapping[str, Sequence[Scored]],
    differences: Mapping[str, Sequence[Difference]],
    facts: Mapping[str, Any],
) -> Path:
    """Writes ``result.json`` with the keys of a run's evaluations.

    Args:
        folder: where it goes.
        scores: each method's rankings; the plain one is its summary.
        differences: for each ranking the methods against the baseline.
        facts: files and options.
    """
    rows = {name: [_row(name, scored) for scored in found] for name, found in scores.items()}
    content = {
        "format": FORMAT,
        "selection": SELECTION,
        "summary": {name: row for name, found in rows.items() for row in found if row["ranking"] == COSINE},
        "rows": [row for found in rows.values() for row in found],
        "differences": [_difference(ranking, one) for ranking, found in differences.items() for one in found],
        **facts,
    }
    return write_json(folder / RESULT, content)


def _label(name: str, scored: Scored, all_rankings: Sequence[Scored]) -> str:
    return name if len(all_rankings) == 1 else f"{name}, {scored.ranking}"


def _row(name: str, scored: Scored) -> dict[str, Any]:
    """As a run's rows; the target is called as the file is, for what it shows is not known."""
    return {
        "target": name, "selection": SELECTION, "step": None, "domain": NOT_KNOWN, "ranking": scored.ranking,
        **scored.result.summary(), **scored.figures,
    }  # fmt: skip


def _difference(ranking: str, found: Difference) -> dict[str, Any]:
    return {
        "method": found.method,
        "baseline": found.baseline,
        "ranking": ranking,
        "unit": found.unit,
        "mAP": found.mean_average_precision._asdict(),
        "rank1": found.rank1._asdict(),
    }
