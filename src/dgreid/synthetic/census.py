"""Who is seen by which camera, and in which subset each picture is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from dgreid.errors import InputError
from dgreid.synthetic.draws import generator, shuffled

SubsetName = Literal["train", "query", "gallery"]
LIMITS = {
    "train_identities": (1, 4_999),
    "test_identities": (1, 4_999),
    "images_per_identity": (4, 99),
    "height": (32, 1_024),
    "width": (16, 1_024),
}


@dataclass(frozen=True, slots=True)
class Size:
    """How large a domain is; every identity has the same number of images.

    Attributes:
        train_identities: people to train on.
        test_identities: other people, each with a query image per camera and gallery images.
        images_per_identity: at least 4, so that two cameras see the person twice.
        height: of an image in pixels.
        width: of an image in pixels.

    Raises:
        InputError: a number is out of its range.
    """

    train_identities: int
    test_identities: int
    images_per_identity: int
    height: int
    width: int

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise InputError(f"synthetic.{name}={value!r} is refused: it must be a whole number in {least}..{most}")

    @property
    def identities(self) -> int:
        """People to train on and to test on."""
        return self.train_identities + self.test_identities


class Appearance(NamedTuple):
    """One picture of one person.

    Attributes:
        person: number of the person, training people first; decides on the looks.
        camera: number of the camera, from 0.
        shot: number of the picture among those of this person and camera.
        image: number of the picture among those of this person.
        subset: a test person's first picture by each camera is a query.
    """

    person: int
    camera: int
    shot: int
    image: int
    subset: SubsetName


@dataclass(frozen=True, slots=True)
class Census:
    """The pictures of a domain, as a pure function of its fields and the version.

    Attributes:
        name: of the domain.
        seed: of the benchmark.
        cameras: number of cameras.
        groups: of cameras; a person is seen by cameras of one group.
    """

    name: str
    seed: int
    size: Size
    cameras: int
    groups: int

    @property
    def cameras_per_identity(self) -> int:
        """By how many cameras a person is seen: each of them takes two pictures at least."""
        return min(self.cameras // self.groups, self.size.images_per_identity // 2)

    def generator(self, *key: int | str) -> np.random.Generator:
        """Draws for this census."""
        return generator(self.seed, self.name, "census", *key)

    def cameras_of(self, person: int) -> list[int]:
        """The cameras that see a person, in the order in which they do."""
        rng = self.generator("cameras", person)
        members = self.cameras // self.groups
        first = members * int(rng.random() * self.groups)
        return [first + camera for camera in shuffled(rng, members)[: self.cameras_per_identity]]

    def appearances(self) -> Iterator[Appearance]:
        """All pictures, person by person."""
        for person in range(self.size.identities):
            cameras = self.cameras_of(person)
            for image in range(self.size.images_per_identity):
                shot, turn = divmod(image, len(cameras))
                test: SubsetName = "query" if shot == 0 else "gallery"
                subset = "train" if person < self.size.train_identities else test
                yield Appearance(person, cameras[turn], shot, image, subset)

    def labels(self) -> list[int]:
        """Identity numbers 1..n in random order, as training and test identities are mixed in real data sets."""
        return [label + 1 for label in shuffled(self.generator("labels"), self.size.identities)]
