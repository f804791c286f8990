"""Synthetic embeddings for retrieval benchmarks: people seen by cameras, with distractors, easy and hard images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SIZES = {"market": (3368, 15913, 2048), "msmt": (11659, 82161, 2048)}
CAMERAS = 6
GALLERY_IMAGES = 20  # of a person, about
DISTRACTORS = 0.15  # share of the gallery that nobody asks for
LATENT = 96


class Problem(NamedTuple):
    """Embeddings at unit length, float32, and who is on them."""

    query: np.ndarray
    gallery: np.ndarray
    query_identities: np.ndarray
    query_cameras: np.ndarray
    gallery_identities: np.ndarray
    gallery_cameras: np.ndarray


def size_of(text: str) -> tuple[int, int, int]:
    """Queries, gallery images and width from a name in ``SIZES`` or from ``QxGxD``."""
    queries, gallery, width = SIZES[text] if text in SIZES else map(int, text.lower().split("x"))
    return queries, gallery, width


def make_problem(queries: int, gallery: int, width: int, seed: int = 0) -> Problem:
    """People are points in a space of few dimensions; cameras shift them, and images scatter, some widely."""
    rng = np.random.default_rng(seed)
    people = max(1, round(gallery * (1 - DISTRACTORS) / GALLERY_IMAGES))
    strangers = max(1, round(people * DISTRACTORS))
    shown = rng.integers(0, people, gallery)
    nobody = rng.random(gallery) < DISTRACTORS
    shown[nobody] = rng.integers(people, people + strangers, nobody.sum())
    centres = rng.standard_normal((people + strangers, LATENT), dtype=np.float32)
    offsets = 0.4 * rng.standard_normal((CAMERAS, LATENT), dtype=np.float32)
    spread = (rng.standard_normal((LATENT, width)) / np.sqrt(width)).astype(np.float32)

    def images(identities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cameras = rng.integers(0, CAMERAS, len(identities))
        scatter = rng.lognormal(0.0, 0.45, (len(identities), 1)).astype(np.float32)
        points = centres[identities] + offsets[cameras]
        points += scatter * rng.standard_normal(points.shape, dtype=np.float32)
        vectors = points @ spread
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors, cameras

    asked = rng.integers(0, people, queries)
    query, query_cameras = images(asked)
    vectors, gallery_cameras = images(shown)
    return Problem(query, vectors, asked, query_cameras, shown, gallery_cameras)
