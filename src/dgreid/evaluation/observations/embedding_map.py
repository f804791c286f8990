"""A map of embeddings: which images take part, and where they lie in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.labels import Array, as_numbers
from dgreid.types import ReIDRecord

LARGEST_MAP = 1000  # images; t-SNE of more takes longer than a reader sees more
MOST_COLOURED = 20
MOST_OF_A_PERSON = 20
COMPONENTS = 50
PERPLEXITY = 30.0
STEPS = 500  # of t-SNE; as many again take a thousand images no further
FEWEST, LARGEST_EXACT = 5, 100  # images that t-SNE can lay out, and up to which its approximation saves no time


class EmbeddingSample(NamedTuple):
    """Some images of a set, all that were drawn of a person together; so the first ones are a smaller sample.

    Attributes:
        embeddings: (M, D).
        identities: (M,) int64.
        cameras: (M,) int64, -1 where unknown.
        shown: identities of up to 20 queries, the first ones of the sample: those that a map colours.
    """

    embeddings: NDArray[np.float32]
    identities: NDArray[np.int64]
    cameras: NDArray[np.int64]
    shown: list[int]

    def first(self, count: int) -> EmbeddingSample:
        """The first images."""
        return EmbeddingSample(self.embeddings[:count], self.identities[:count], self.cameras[:count], self.shown)


def sample_images(
    embeddings: Array, records: Sequence[ReIDRecord], query_count: int, images: int = LARGEST_MAP, seed: int = 0
) -> EmbeddingSample:
    """Draws people and takes up to 20 images of each, people who are searched for first.

    Single images drawn from all would show most people once, and nothing of how far apart images of one person lie.

    Args:
        embeddings: (N, D) of queries, then gallery.
        records: the N images in the same order.
        query_count: how many of them are queries.
        images: size of the sample, or all images if there are fewer.
        seed: of the draws.

    Raises:
        InputError: not one embedding for each image.
    """
    if len(embeddings) != len(records):
        raise InputError(f"{len(embeddings)} embeddings but {len(records)} images; give one row for each image")
    identities = np.array([record.identity for record in records], dtype=np.int64)
    generator = np.random.default_rng(seed)
    shown = generator.permutation(np.unique(identities[:query_count]))[:MOST_COLOURED]
    people = np.concatenate([shown, generator.permutation(np.setdiff1d(identities, shown))])
    shuffled = generator.permutation(len(identities))
    turn = np.argsort(people)[np.searchsorted(np.sort(people), identities[shuffled])]
    order = np.argsort(turn, kind="stable")
    starts = np.searchsorted(turn[order], turn[order], "left")
    rows = shuffled[order][np.arange(len(order)) - starts < MOST_OF_A_PERSON][:images]
    return EmbeddingSample(
        embeddings=as_numbers(embeddings[rows]).astype(np.float32),
        identities=identities[rows],
        cameras=np.array([records[row].camera for row in rows], dtype=np.int64),
        shown=shown.tolist(),
    )


def plane_of(embeddings: NDArray[np.float32], seed: int = 0) -> NDArray[np.float64]:
    """Places in the plane, (M, 2): the first 50 principal components, then t-SNE (van der Maaten and Hinton, 2008).

    Fewer than five images, or images that are all alike, lie where the first two components put them.

    Args:
        embeddings: (M, D), M at least 1.
        seed: of both.
    """
    components = _principal_components(embeddings.astype(np.float64), seed)
    flat = components[:, :2]
    if len(flat) < FEWEST or not flat.any():
        return flat
    from sklearn.manifold import TSNE  # here, since it takes a second that evaluation without pictures saves

    start = flat / flat[:, 0].std() * 1e-4  # as scikit-learn's own ``init="pca"``, whose solver is not seeded
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(flat) - 1) / 3), init=start, random_state=seed, max_iter=STEPS,
        method="exact" if len(flat) <= LARGEST_EXACT else "barnes_hut",
    )  # fmt: skip
    return np.asarray(tsne.fit_transform(components), dtype=np.float64)


def _principal_components(embeddings: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Up to 50 of them, and at least two: what there is none of is 0."""
    count = min(COMPONENTS, *embeddings.shape)
    if not (embeddings != embeddings[0]).any():
        return np.zeros((len(embeddings), 2))
    from sklearn.decomposition import PCA

    found = PCA(n_components=count, random_state=seed).fit_transform(embeddings)
    return np.pad(found, ((0, 0), (0, max(0, 2 - found.shape[1]))))
