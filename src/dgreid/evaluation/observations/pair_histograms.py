"""How similar pairs of a query and a gallery image are, counted by who and which cameras they show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.labels import Numbers
from dgreid.types import UNKNOWN_CAMERA

IDENTITIES = ("same person", "different people")
CAMERAS = ("other camera", "same camera", "unknown camera")
OTHER, SAME, UNKNOWN = range(3)
BINS = 256  # a power of two: the edges of [-1, 1] are exact, so no count depends on rounding


class PairHistograms(NamedTuple):
    """Numbers of pairs by similarity.

    Attributes:
        edges: (257,) of the bins, ascending. What lies outside is in the outermost bins.
        counts: (2, 3, 256): by :data:`IDENTITIES`, by :data:`CAMERAS` (unknown if either camera is) and by bin. Pairs
            of one person and one camera are counted too, although no ranking has them.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


class PairCounter:
    """Counts the pairs of one query after the other.

    Args:
        gallery_cameras: (G,) int64, -1 where unknown.
        limits: the least and the greatest similarity; those of unit vectors by default.
    """

    def __init__(self, gallery_cameras: NDArray[np.int64], limits: tuple[float, float] = (-1.0, 1.0)) -> None:
        self.cameras = gallery_cameras
        self.edges = np.linspace(*limits, BINS + 1)
        self.counts = np.zeros((len(IDENTITIES), len(CAMERAS), BINS), dtype=np.int64)
        self._scale = BINS / (limits[1] - limits[0])
        self._first_bins: dict[int, NDArray[np.int64]] = {}

    def add(self, scores: Numbers, camera: int, same_identity: NDArray[np.int64]) -> None:
        """Counts the pairs of a query.

        Args:
            scores: (G,) its similarities.
            camera: its camera, -1 if unknown.
            same_identity: gallery indices of its identity.
        """
        places = (scores.astype(np.float64) - self.edges[0]) * self._scale
        bins = np.clip(places, 0, BINS - 1).astype(np.int64) + self._first_bins_for(camera)
        everybody = np.bincount(bins, minlength=len(CAMERAS) * BINS).reshape(len(CAMERAS), BINS)
        person = np.bincount(bins[same_identity], minlength=len(CAMERAS) * BINS).reshape(len(CAMERAS), BINS)
        self.counts[0] += person
        self.counts[1] += everybody - person

    def histograms(self) -> PairHistograms:
        """What was counted so far."""
        return PairHistograms(self.edges, self.counts)

    def _first_bins_for(self, camera: int) -> NDArray[np.int64]:
        """For each gallery image the first bin of its relation to a query's camera; kept, since cameras are few."""
        if camera not in self._first_bins:
            relation = np.where(self.cameras == camera, SAME, OTHER)
            relation[(self.cameras == UNKNOWN_CAMERA) | (camera == UNKNOWN_CAMERA)] = UNKNOWN
            self._first_bins[camera] = relation * BINS
        return self._first_bins[camera]
