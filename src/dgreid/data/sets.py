"""Data sets of whole batches, as a DataLoader without automatic batching fetches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dgreid.data.domains.base import Domain
from dgreid.data.images import CropReader
from dgreid.data.resizing import Pixels
from dgreid.data.row_draws import StepDraws
from dgreid.data.sampling import BatchPlan
from dgreid.data.transforms import TrainTransform, as_tensor
from dgreid.errors import InputError
from dgreid.types import UNKNOWN_CAMERA, ReIDBatch, ReIDRecord, SameCamera


@dataclass(frozen=True)
class RetrievalSet:
    """Images to be found, and images to be found among.

    Attributes:
        name: the domain's name.
        query: the images to search with.
        gallery: the images to search in.
    """

    name: str
    query: tuple[ReIDRecord, ...]
    gallery: tuple[ReIDRecord, ...]

    @cached_property
    def records(self) -> tuple[ReIDRecord, ...]:
        """Queries, then gallery: what the indices of batches count."""
        return self.query + self.gallery

    @property
    def query_count(self) -> int:
        """The number of queries: indices below it are queries."""
        return len(self.query)

    @cached_property
    def identities(self) -> Tensor:
        """(Q + G,) int64."""
        return torch.tensor([record.identity for record in self.records], dtype=torch.int64)

    @cached_property
    def cameras(self) -> Tensor:
        """(Q + G,) int64, -1 where unknown."""
        return torch.tensor([record.camera for record in self.records], dtype=torch.int64)

    @cached_property
    def valid_queries(self) -> int:
        """Queries whose identity the gallery shows from another, or an unknown, camera."""
        return self.answerable("ignore")

    def answerable(self, same_camera: SameCamera) -> int:
        """Queries with a match under a camera rule."""
        seen: dict[int, set[int]] = {}
        for record in self.gallery:
            seen.setdefault(record.identity, set()).add(record.camera)
        return sum(_has_match(record.camera, seen.get(record.identity, set()), same_camera) for record in self.query)


def _has_match(camera: int, gallery_cameras: set[int], same_camera: SameCamera) -> bool:
    if same_camera == "keep" or camera == UNKNOWN_CAMERA or UNKNOWN_CAMERA in gallery_cameras:
        return bool(gallery_cameras)
    return bool(gallery_cameras - {camera})


def retrieval_set(domain: Domain, same_camera: SameCamera = "ignore") -> RetrievalSet:
    """Query and gallery of a target.

    Args:
        domain: lists both.
        same_camera: the camera rule of its evaluation.

    Raises:
        InputError: no query has a match under that rule.
    """
    retrieval = RetrievalSet(domain.name, domain.records("query"), domain.records("gallery"))
    if not retrieval.answerable(same_camera):
        where = " in another camera" if same_camera == "ignore" else ""
        way_out = ", mark unknown cameras with -1, or count images of the same camera (metric.same_camera=keep)"
        raise InputError(
            f"domain {domain.name} cannot be a target: none of its {len(retrieval.query)} queries shows a person whom "
            f"one of its {len(retrieval.gallery)} gallery images shows{where}; check its identities and cameras "
            f"(`python -m dgreid.data check`){way_out if where else ''}"
        )
    return retrieval


class _Labels:
    """Identities and cameras of a list of images."""

    def __init__(self, records: Sequence[ReIDRecord]) -> None:
        self.paths = [record.path for record in records]
        self.identities = np.array([record.identity for record in records], dtype=np.int64)
        self.cameras = np.array([record.camera for record in records], dtype=np.int64)

    def batch(self, images: Pixels, indices: NDArray[np.int64]) -> ReIDBatch:
        return ReIDBatch(
            images=as_tensor(images),
            identities=torch.from_numpy(self.identities[indices]),
            cameras=torch.from_numpy(self.cameras[indices]),
            indices=torch.from_numpy(indices),
        )


class TrainingImages(Dataset[ReIDBatch]):
    """Augmented training batches; an item is the batch of a :class:`~dgreid.data.sampling.BatchPlan`.

    Args:
        records: training images, identities 0..n-1.
        crops: reads their pixels.
        transform: augmentation.
        seed: the run's seed.
        domain: name of the domain.
    """

    def __init__(
        self, records: Sequence[ReIDRecord], crops: CropReader, transform: TrainTransform, seed: int, domain: str
    ) -> None:
        self.labels = _Labels(records)
        self.crops = crops
        self.transform = transform
        self.seed = seed
        self.domain = domain

    def __getitem__(self, plan: BatchPlan) -> ReIDBatch:
        """A batch with images (B, 3, H, W) uint8, a function of seed, domain, step and rows.

        Raises:
            ImageError: an image cannot be read; none is left out or replaced.
        """
        crops = self.crops([self.labels.paths[index] for index in plan.indices.tolist()])
        images = self.transform(crops, StepDraws(self.seed, self.domain, plan.step, plan.rows))
        return self.labels.batch(images, plan.indices)


class PlainImages(Dataset[ReIDBatch]):
    """Batches without augmentation; an item is the batch of some indices.

    Args:
        records: the images that indices count.
        crops: reads their pixels.
    """

    def __init__(self, records: Sequence[ReIDRecord], crops: CropReader) -> None:
        self.labels = _Labels(records)
        self.crops = crops

    def __getitem__(self, indices: Sequence[int]) -> ReIDBatch:
        """A batch with images (B, 3, H, W) uint8.

        Raises:
            ImageError: an image cannot be read.
        """
        crops = self.crops([self.labels.paths[index] for index in indices])
        return self.labels.batch(np.stack(list(crops)), np.array(indices, dtype=np.int64))
