"""What one camera of a source saw as a domain of its own: single-source generalisation between cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dgreid.data.domains.base import Domain, Subset
from dgreid.errors import InputError
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

WAY_OUT = "list the images of the other cameras as a domain of your own (docs/datasets.md)"


class OneCamera(Domain):
    """The training images that one camera of another domain took; a source only.

    Its identities are counted anew from 0, so a person seen by several cameras is a class in each of their domains,
    and nothing says that these are one.

    Args:
        whole: the domain.
        camera: 0-based; names count from 1, as data sets do.
        records: images of this camera, with the identities of the whole.
    """

    def __init__(self, whole: Domain, camera: int, records: Sequence[ReIDRecord]) -> None:
        self.whole = whole
        self.camera = camera
        self.seen = tuple(records)
        self.name = f"{whole.name}_camera{camera + 1}"
        self.family = whole.family

    @property
    def version(self) -> str:
        """That of the whole, and which camera."""
        return f"{self.whole.version}, camera {self.camera + 1}"

    @property
    def root(self) -> Path:
        """That of the whole."""
        return self.whole.root

    def list_images(self) -> Mapping[Subset, Sequence[ReIDRecord]]:
        """All of them to train on; see ``Domain.list_images``."""
        return {"train": self.seen}


def cameras_of(whole: Domain, records: Sequence[ReIDRecord], least: int) -> list[OneCamera]:
    """A domain for each camera, in the order of the cameras.

    Args:
        whole: the domain.
        records: its images to train on.
        least: identities that a batch takes of each domain.

    Raises:
        InputError: the camera of an image is not known, or cameras see fewer than ``least`` identities or than two.
    """
    unknown = sum(record.camera == UNKNOWN_CAMERA for record in records)
    if unknown:
        raise InputError(
            f"split_by=camera: {whole.name} does not say the camera of {unknown:,} of its {len(records):,} images; "
            "leave it out of sources, or give its files' names a camera"
        )
    cameras: dict[int, list[ReIDRecord]] = {}
    for record in records:
        cameras.setdefault(record.camera, []).append(record)
    people = {camera: len({record.identity for record in cameras[camera]}) for camera in sorted(cameras)}
    too_few = {camera + 1: count for camera, count in people.items() if count < max(2, least)}
    if too_few:
        fewest = min(people.values())
        smaller = f"set data.identities_per_batch to at most {fewest}, or " if fewest > 1 else ""
        raise InputError(
            f"split_by=camera: too few people are seen by {_listed(too_few)} of {whole.name}; each camera needs "
            f"{max(2, least)} of them (two, and data.identities_per_batch={least}): {smaller}{WAY_OUT}"
        )
    return [OneCamera(whole, camera, cameras[camera]) for camera in people]


def _listed(people: Mapping[int, int]) -> str:
    return ", ".join(f"camera {camera} ({count})" for camera, count in people.items())
