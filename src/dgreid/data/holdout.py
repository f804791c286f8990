"""Identities of a source domain kept out of training, to choose a checkpoint without looking at the target."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from dgreid.data.row_draws import permutation, uniform
from dgreid.data.sets import RetrievalSet
from dgreid.errors import InputError
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord, SameCamera


def split_holdout(
    records: Sequence[ReIDRecord], share: float, seed: int, domain: str, same_camera: SameCamera = "ignore"
) -> tuple[tuple[ReIDRecord, ...], RetrievalSet | None]:
    """Splits training images by identity.

    Of the held-out images one of each identity and camera, drawn by seed, is a query; the rest are the gallery.

    Args:
        records: training images, identities 0..n-1.
        share: of the identities, rounded to a whole number, at least one; 0 holds nothing out.
        seed: the run's seed.
        domain: name of the domain.
        same_camera: the camera rule under which a held-out query must have a match.

    Returns:
        The images to train on, identities renumbered 0..n-1 in their old order, and what is held out. A domain with one
        camera, or none known, cannot be scored: it keeps all its images for training and gives None.

    Raises:
        InputError: a share outside [0, 1), or too few identities for it.
    """
    if not 0 <= share < 1:
        raise InputError(f"holdout={share} must lie in [0, 1); it is a share of each source's identities")
    known_cameras = {record.camera for record in records} - {UNKNOWN_CAMERA}
    if share == 0 or len(known_cameras) < 2:
        return tuple(records), None
    identities = sorted({record.identity for record in records})
    count = max(1, round(share * len(identities)))
    order = permutation(len(identities), seed, domain, "holdout")
    held_out = {identities[position] for position in order[:count]}
    kept = [record for record in records if record.identity not in held_out]
    retrieval = _retrieval_set([record for record in records if record.identity in held_out], seed, domain)
    answerable = retrieval.answerable(same_camera)
    if not kept or not answerable:
        where = " in another camera" if same_camera == "ignore" else ""
        raise InputError(
            f"holdout={share} keeps {count} of the {len(identities)} identities of domain {domain} out of training, "
            f"which leaves {len(identities) - count} to train on and {answerable} queries with a match{where}; both "
            "must be more than 0: choose another share"
        )
    return renumber(kept), retrieval


def renumber(records: Sequence[ReIDRecord]) -> tuple[ReIDRecord, ...]:
    """Identities renumbered 0..n-1 in their old order."""
    numbers = {identity: number for number, identity in enumerate(sorted({record.identity for record in records}))}
    return tuple(dataclasses.replace(record, identity=numbers[record.identity]) for record in records)


def _retrieval_set(records: Sequence[ReIDRecord], seed: int, domain: str) -> RetrievalSet:
    groups: dict[tuple[int, int], list[int]] = {}
    for position, record in enumerate(records):
        groups.setdefault((record.identity, record.camera), []).append(position)
    draws = uniform(range(len(groups)), 1, seed, domain, "holdout queries")[:, 0]
    queries = {group[int(draw * len(group))] for group, draw in zip(groups.values(), draws, strict=True)}
    query = tuple(record for position, record in enumerate(records) if position in queries)
    gallery = tuple(record for position, record in enumerate(records) if position not in queries)
    return RetrievalSet(domain, query, gallery)
