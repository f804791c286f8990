"""What a search found, as values and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.indexes.kinds import EXACT
from dgreid.evaluation.indexes.neighbour_lists import Neighbours
from dgreid.evaluation.neighbours import NeighbourIndex
from dgreid.search.images import SearchImage, as_text
from dgreid.search.index_folder import IndexFolder
from dgreid.search.readable import Skipped
from dgreid.search.thresholds import Threshold

FORMAT = 1
DECIMALS = 6


class Hit(NamedTuple):
    """An image of the gallery in the answer to a query.

    Attributes:
        rank: from 1.
        score: similarity, at most 1.
        image: of the gallery.
        accepted: whether the score reaches the threshold; True without one.
    """

    rank: int
    score: float
    image: SearchImage
    accepted: bool


class Answer(NamedTuple):
    """The most similar images for one query, best first."""

    query: SearchImage
    hits: Sequence[Hit]

    @property
    def nobody(self) -> bool:
        """Whether even the best image stays below the threshold."""
        return bool(self.hits) and not self.hits[0].accepted


@dataclass(frozen=True)
class Answers:
    """The answers to all queries.

    Attributes:
        index: that was searched.
        answers: in the order of the queries.
        threshold: below which an answer is "nobody"; None if each query is answered.
        skipped: queries that could not be read.
    """

    index: IndexFolder
    answers: Sequence[Answer]
    threshold: Threshold | None
    skipped: Sequence[Skipped] = ()

    def record(self) -> dict[str, Any]:
        """All of it as plain values."""
        metadata = self.index.metadata
        threshold = None if self.threshold is None else self.threshold._asdict()
        return {
            "format": FORMAT,
            "index": {
                "folder": as_text(str(self.index.path.absolute())), "images": metadata.images, "kind": metadata.kind,
                "parameters": metadata.parameters, "recall": metadata.recall, "run": metadata.weights.run,
                "checkpoint": metadata.weights.checkpoint, "weights_sha256": metadata.weights.sha256,
            },
            "threshold": threshold,
            "queries": [_answer_record(answer) for answer in self.answers],
            "skipped": [{"path": as_text(path), "reason": as_text(reason)} for path, reason in self.skipped],
        }  # fmt: skip


def search(
    index: IndexFolder,
    queries: Sequence[SearchImage],
    embeddings: NDArray[np.float32],
    top: int,
    threshold: Threshold | None = None,
    neighbours: NeighbourIndex | None = None,
) -> list[Answer]:
    """The most similar images of an index for each query.

    Scores are inner products of the embeddings that the index keeps, also where it searches approximations of them.

    Args:
        index: searched among.
        queries: what is asked about.
        embeddings: (Q, D) of the queries, at unit length.
        top: how many images to answer with; all, if the index has fewer.
        threshold: the score from which on an answer counts.
        neighbours: of the index, as they were opened to be searched; None opens them here.

    Raises:
        InputError: ``top`` is below 1, or the index is damaged.
    """
    if top < 1:
        raise InputError(f"top={top}: at least 1")
    neighbours = neighbours or index.neighbours()
    found = neighbours.search(embeddings, min(top, neighbours.size))
    if index.metadata.kind != EXACT:
        found = _rescored(found, embeddings, index)
    images = index.images(found.indices[found.indices >= 0].tolist())
    value = -np.inf if threshold is None else threshold.value
    return [
        Answer(query, _hits(scores, places, images, value))
        for query, scores, places in zip(queries, found.scores, found.indices, strict=True)
    ]


def _rescored(found: Neighbours, queries: NDArray[np.float32], index: IndexFolder) -> Neighbours:
    """The same images with exact scores, ordered by these."""
    scores = np.full_like(found.scores, -np.inf)
    for row, (query, places) in enumerate(zip(queries, found.indices, strict=True)):
        there = places >= 0
        scores[row, there] = index.vectors(places[there]) @ query
    order = np.argsort(-scores, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(scores, order, 1), np.take_along_axis(found.indices, order, 1))


def _hits(
    scores: NDArray[np.float32], places: NDArray[np.int64], images: dict[int, SearchImage], threshold: float
) -> list[Hit]:
    there = places >= 0
    ranked = enumerate(zip(scores[there].tolist(), places[there].tolist(), strict=True), start=1)
    return [Hit(rank, score, images[place], score >= threshold) for rank, (score, place) in ranked]


def _answer_record(answer: Answer) -> dict[str, Any]:
    hits = [
        {"rank": hit.rank, "score": round(hit.score, DECIMALS), "accepted": hit.accepted, **_image_record(hit.image)}
        for hit in answer.hits
    ]
    return {**_image_record(answer.query), "nobody": answer.nobody, "hits": hits}


def _image_record(image: SearchImage) -> dict[str, str | None]:
    return {"path": as_text(image.path), "identity": image.identity or None, "camera": image.camera or None}


def shown_path(path: str) -> str:
    """The path as seen from here, where it lies below the present folder."""
    place = Path(path)
    return str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else path
