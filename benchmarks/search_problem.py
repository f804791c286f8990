"""Embeddings as a net might give them, of as many images as wanted, with the identity of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

IMAGES_OF_PERSON = 10
LATENT = 64
PERSON, IMAGE, NOISE = 1.0, 0.7, 0.7
CHUNK = 20_000


class SearchProblem(NamedTuple):
    """Unit vectors of a gallery and of queries, float32; row i of the gallery shows identity i // 10.

    Attributes:
        gallery: (N, D), memory-mapped.
        queries: (Q, D).
        identities: (Q,) whom each query shows.
    """

    gallery: NDArray[np.float32]
    queries: NDArray[np.float32]
    identities: NDArray[np.int64]


def search_problem(folder: Path, size: int, dimension: int, queries: int) -> SearchProblem:
    """The same vectors for the same arguments; written to the folder the first time.

    A person is a point of 64 numbers of falling variance, an image a point near it; a random matrix takes them to the
    dimension, and noise is added there. So vectors have few strong directions and many weak ones.

    Args:
        folder: where the gallery lies.
        size: images in the gallery, ten of each person.
        dimension: of a vector.
        queries: images of different persons who are in the gallery.
    """
    people = size // IMAGES_OF_PERSON
    scales = 1 / np.sqrt(1 + np.arange(LATENT) / 8)
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((LATENT, dimension)) / np.linalg.norm(scales)
    wanted = np.sort(rng.choice(people, queries, replace=False))

    def images(identities: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
        generator = np.random.default_rng(seed)
        who, inverse = np.unique(identities, return_inverse=True)
        people_of = np.stack([np.random.default_rng((1, int(person))).standard_normal(LATENT) for person in who])
        points = PERSON * people_of[inverse] + IMAGE * generator.standard_normal((len(identities), LATENT))
        rows = (points * scales) @ matrix + NOISE * generator.standard_normal((len(identities), dimension))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    path = folder / "gallery.npy"
    if not path.exists():
        partial = folder / "gallery.part"
        written = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=(size, dimension))
        for start in range(0, size, CHUNK):
            rows = np.arange(start, min(start + CHUNK, size))
            written[rows[0] : rows[-1] + 1] = images(np.minimum(rows // IMAGES_OF_PERSON, people - 1), 2 + start)
        written.flush()
        partial.rename(path)
    gallery: Any = np.load(path, mmap_mode="r")
    return SearchProblem(gallery, images(wanted, 1), wanted)
