"""Which images a step sees: P identities with K images each, as a function of seed, domain and step alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.data.row_draws import permutation, uniform
from dgreid.errors import InputError, nearest
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

Sampling = Literal["cross_camera", "uniform"]

MOST_IMAGES = 1_024  # of an identity in a batch; more is a mistake that would fill the memory


class BatchPlan(NamedTuple):
    """What one rank reads for one step.

    Attributes:
        step: global step, from 0.
        rows: positions in the global batch of P * K rows.
        indices: (len(rows),) position of each image in the domain's list.
    """

    step: int
    rows: range
    indices: NDArray[np.int64]


class IdentitySampler:
    """Endless plans of P identities x K images, K consecutive rows for each identity.

    The identities of a pass are a fresh permutation, of which each step takes the next P; the remainder of
    floor(identities / P) steps is dropped. Identities with one image show it K times, so that a step always has
    exactly P * K rows.

    Args:
        records: training images, identities 0..n-1.
        identities_per_batch: P, over all ranks.
        images_per_identity: K.
        sampling: how the K images of an identity are chosen: ``cross_camera`` or ``uniform``.
        seed: the run's seed.
        domain: name of the domain, so that domains do not move in step.
        rank: this process.
        world_size: number of processes; each takes P / world_size of a step's identities.
        start_step: asked at each ``iter()`` for the first step to yield.

    Raises:
        InputError: P is not a multiple of world_size or exceeds the number of identities, or K > 1 where no identity
            has two images.
    """

    def __init__(
        self,
        records: Sequence[ReIDRecord],
        *,
        identities_per_batch: int,
        images_per_identity: int,
        sampling: Sampling,
        seed: int,
        domain: str,
        rank: int = 0,
        world_size: int = 1,
        start_step: Callable[[], int] = lambda: 0,
    ) -> None:
        self.images = _images_by_identity(records)
        self.cameras = [record.camera for record in records]
        self.identities_per_batch = identities_per_batch
        self.images_per_identity = images_per_identity
        self.choose = _rule(sampling)
        self.seed = seed
        self.domain = domain
        self.start_step = start_step
        self._check(world_size)
        share = identities_per_batch // world_size
        self.slots = range(rank * share, (rank + 1) * share)
        self._pass = -1
        self._order = np.empty(0, dtype=np.int64)

    def __iter__(self) -> Iterator[BatchPlan]:
        # Not a generator itself: Lightning iterates anew each epoch and after a resume, and the start must be read now.
        return self._plans(self.start_step())

    def plan(self, step: int) -> BatchPlan:
        """This rank's part of a step."""
        per_identity = self.images_per_identity
        draws = uniform(self.slots, per_identity, self.seed, self.domain, step, "images")
        chosen = [
            self.choose(self.images[identity], self.cameras, numbers)
            for identity, numbers in zip(self._identities(step), draws.tolist(), strict=True)
        ]
        rows = range(self.slots.start * per_identity, self.slots.stop * per_identity)
        return BatchPlan(step, rows, np.array(chosen, dtype=np.int64).reshape(-1))

    def _plans(self, step: int) -> Iterator[BatchPlan]:
        while True:
            yield self.plan(step)
            step += 1

    def _identities(self, step: int) -> list[int]:
        number, step_of_pass = divmod(step, len(self.images) // self.identities_per_batch)
        if number != self._pass:
            self._pass = number
            self._order = permutation(len(self.images), self.seed, self.domain, number, "identities")
        first = step_of_pass * self.identities_per_batch
        mine: list[int] = self._order[first + self.slots.start : first + self.slots.stop].tolist()
        return mine

    def _check(self, world_size: int) -> None:
        if self.identities_per_batch < 1 or self.images_per_identity < 1:
            raise InputError(
                f"a batch of {self.identities_per_batch} identities x {self.images_per_identity} images; both "
                "(identities_per_batch, images_per_identity) must be at least 1"
            )
        if self.identities_per_batch % world_size:
            multiple = world_size * (1 + self.identities_per_batch // world_size)
            raise InputError(
                f"identities_per_batch={self.identities_per_batch} on {world_size} processes: it is the number over "
                f"all processes and must be a multiple of theirs; set it to {multiple}"
            )
        if self.images_per_identity > MOST_IMAGES:
            raise InputError(
                f"images_per_identity={self.images_per_identity}: at most {MOST_IMAGES:,}; 4 is what the releases take"
            )
        if len(self.images) < self.identities_per_batch:
            raise InputError(
                f"domain {self.domain} has {len(self.images)} training identities, fewer than "
                f"identities_per_batch={self.identities_per_batch}; set it to at most {len(self.images)}"
            )
        if self.images_per_identity > 1 and max(map(len, self.images)) == 1:
            raise InputError(
                f"domain {self.domain} has one image of each identity, so images_per_identity="
                f"{self.images_per_identity} would only show copies (an identity with one image shows it again and "
                "again); set images_per_identity=1 or leave the domain out"
            )


def _images_by_identity(records: Sequence[ReIDRecord]) -> list[list[int]]:
    images: list[list[int]] = [[] for _ in range(1 + max((record.identity for record in records), default=-1))]
    for index, record in enumerate(records):
        images[record.identity].append(index)
    return images


Rule = Callable[[Sequence[int], Sequence[int], Sequence[float]], list[int]]


def _rule(sampling: str) -> Rule:
    rules: dict[str, Rule] = {"cross_camera": cross_camera, "uniform": lambda images, _, draws: spread(images, draws)}
    if sampling not in rules:
        raise InputError(f"sampling={sampling}: there is no such rule; {nearest(sampling, rules)}")
    return rules[sampling]


def cross_camera(images: Sequence[int], cameras: Sequence[int], draws: Sequence[float]) -> list[int]:
    """One anchor, then partners from other cameras (M3L and IL, RandomMultipleGallerySampler).

    Partners come from the images of other cameras, or from all other images if there is no other camera. As in the
    releases they are drawn with replacement from fewer than K of these, else without. An unknown camera counts as
    different from all others. An identity with one image shows it K times (the releases show it once and shift the
    rows that follow).

    Args:
        images: the identity's images, as positions in the domain's list.
        cameras: camera of each image of the domain.
        draws: K numbers in [0, 1).

    Returns:
        K positions, the anchor first.
    """
    anchor = images[_index(draws[0], len(images))]
    others = [image for image in images if image != anchor]
    camera = cameras[anchor]
    partners = [image for image in others if cameras[image] != camera or camera == UNKNOWN_CAMERA] or others or [anchor]
    if len(partners) < len(draws):
        return [anchor, *(partners[_index(draw, len(partners))] for draw in draws[1:])]
    return [anchor, *spread(partners, draws[1:])]


def spread(images: Sequence[int], draws: Sequence[float]) -> list[int]:
    """Draws without replacement, starting over when all are used up: no image comes twice more than another."""
    chosen, pool = [], list(images)
    for draw in draws:
        chosen.append(pool.pop(_index(draw, len(pool))))
        pool = pool or list(images)
    return chosen


def _index(draw: float, size: int) -> int:
    return int(draw * size)  # draw < 1, and the product of a float below 1 and a small integer rounds below it
