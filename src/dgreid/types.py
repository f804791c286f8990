"""The nouns that every part of the project shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

UNKNOWN_CAMERA = -1
SameCamera: TypeAlias = Literal["ignore", "keep"]
"""Gallery images of a query's identity and camera: left out of its ranking, or matches."""

SMALLEST_SQUARED_LENGTH = 1e-24


@dataclass(frozen=True, slots=True)
class ReIDRecord:
    """One image of one person, as a domain lists it.

    Attributes:
        path: the image file.
        identity: 0..n-1 in a training set; the data set's own number in a query or gallery set.
        camera: 0-based camera, or -1 if it is unknown.
    """

    path: Path
    identity: int
    camera: int


class ReIDBatch(NamedTuple):
    """Images of one domain. Training batches come in groups of K consecutive rows of one identity.

    Attributes:
        images: (B, 3, H, W); uint8 RGB from the loader, float32 normalised after the transfer to the device.
        identities: (B,) int64.
        cameras: (B,) int64, -1 where unknown.
        indices: (B,) int64, position in the domain's list; removes duplicates that padding adds.
    """

    images: Tensor
    identities: Tensor
    cameras: Tensor
    indices: Tensor


class Features(NamedTuple):
    """What a net makes of a batch of images.

    Attributes:
        pooled: (B, D) before the neck; what the triplet loss sees.
        neck: (B, D) after the neck, not normalised.
    """

    pooled: Tensor
    neck: Tensor

    @property
    def embedding(self) -> Tensor:
        """(B, D) neck features at unit length: what memories and retrieval compare; a row of zeros stays one."""
        # As F.normalize, which has no second derivative at 0.
        precise = self.neck.to(torch.promote_types(self.neck.dtype, torch.float32))
        length = precise.square().sum(dim=1, keepdim=True).clamp(min=SMALLEST_SQUARED_LENGTH).sqrt()
        return (precise / length).to(self.neck.dtype)


class DomainInfo(NamedTuple):
    """What a strategy may know of a source domain before training.

    Attributes:
        name: catalogue name of the domain.
        identities: number of training identities; labels are 0..identities-1.
        images: number of training images.
        cameras: number of distinct cameras among them.
        list_hash: sha256 (hex) of the list of training images.
    """

    name: str
    identities: int
    images: int
    cameras: int
    list_hash: str


class Clock(NamedTuple):
    """Where training stands; equal on every rank.

    Attributes:
        step: optimizer steps taken so far, from 0.
        epoch: epoch of this step, from 0.
        learning_rate: the outer learning rate of this step.
        seed: the run's seed.
    """

    step: int
    epoch: int
    learning_rate: float
    seed: int


class StepResult(NamedTuple):
    """What a strategy's loss returns.

    Attributes:
        loss: scalar; its backward gives the gradient of this step.
        scalars: detached numbers to log, by name; one that is not finite stops the run.
        embeddings: detached (B, D) unit embeddings per domain, for strategies that use them again after the step.
    """

    loss: Tensor
    scalars: Mapping[str, Tensor]
    embeddings: Mapping[str, Tensor]
