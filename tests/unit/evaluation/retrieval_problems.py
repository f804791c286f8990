"""Small retrieval problems, and their figures by plain loops over a full sort."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score

from dgreid.evaluation.labels import Labels


class PlainFigures(NamedTuple):
    """What the figures of all queries must be; the last three have an element for each query."""

    mean_average_precision: float
    cmc: list[float]
    mean_inverse_negative_penalty: float
    average_precision: list[float]
    first_rank: list[int]
    inverse_negative_penalty: list[float]


def is_junk(query_identity, query_camera, identity, camera, same_camera):
    """The field's rule for one pair."""
    return same_camera == "ignore" and identity == query_identity and camera == query_camera and camera != -1


def plain_figures(scores, query, gallery, same_camera="ignore", ranks=50):
    """All figures from their definitions."""
    precisions, firsts, penalties = [], [], []
    for row, identity, camera in zip(scores, *query, strict=True):
        kept = [
            (-row[j], j, gallery.identities[j] == identity)
            for j in range(len(row))
            if not is_junk(identity, camera, gallery.identities[j], gallery.cameras[j], same_camera)
        ]
        matches = [match for _, _, match in sorted(kept)]
        places = [place for place, match in enumerate(matches, start=1) if match]
        if places:
            precisions.append(average_precision_score([m for *_, m in kept], [-s for s, *_ in kept]))
        else:
            precisions.append(float("nan"))
        firsts.append(places[0] if places else 0)
        penalties.append(len(places) / places[-1] if places else float("nan"))
    found = [first for first in firsts if first]
    cmc = [sum(first <= rank for first in found) / len(found) for rank in range(1, ranks + 1)]
    return PlainFigures(np.nanmean(precisions), cmc, np.nanmean(penalties), precisions, firsts, penalties)


def problem(seed, queries=12, gallery=60, identities=6, cameras=3, levels=None, unknown=False, dtype=np.float64):
    """Random scores (of few levels: with ties), query labels, gallery labels; the first query has no match."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((queries, gallery)).astype(dtype)
    if levels:
        scores = np.round(scores * levels) / levels
    low = -1 if unknown else 0
    labels = [
        Labels(rng.integers(0, identities, size), rng.integers(low, cameras, size)) for size in (queries, gallery)
    ]
    labels[0].identities[0] = identities + 5  # a query that nobody matches
    labels[0].identities[1], labels[0].cameras[1] = 0, 0  # and one that somebody does
    labels[1].identities[0], labels[1].cameras[0] = 0, 1
    return scores, *labels
