"""The table of camera pairs: how well people seen by one camera are found among the images of another.

Each cell is an evaluation of its own (Zheng et al., ICCV 2015, show it for Market-1501): the queries of one camera,
and a gallery of one camera's images alone. It tells whether a low mean is one bad camera's or everybody's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import MEMORY_LIMIT, block_ranges, queries_per_block
from dgreid.evaluation.counting import HostCounter
from dgreid.evaluation.device_counting import DeviceCounter
from dgreid.evaluation.labels import Array, CandidateLists, Labels, as_labels
from dgreid.evaluation.query_figures import QueryFigures, query_figures
from dgreid.evaluation.similarity import ScoreBlock, checked_block
from dgreid.types import UNKNOWN_CAMERA, SameCamera


class CameraPairs(NamedTuple):
    """Figures for each camera of queries (A of them) and each camera of the gallery (B).

    Attributes:
        query_cameras: (A,) ascending; -1, the unknown camera, is one like others.
        gallery_cameras: (B,) likewise.
        queries: (A, B) queries of the one camera that have a match in the other.
        mean_average_precision: (A, B) mean over these queries, 0..1; NaN where there is none.
        rank1: (A, B) share of these queries whose best image is a match; NaN where there is none.
    """

    query_cameras: NDArray[np.int64]
    gallery_cameras: NDArray[np.int64]
    queries: NDArray[np.int64]
    mean_average_precision: NDArray[np.float64]
    rank1: NDArray[np.float64]

    def summary(self) -> dict[str, dict[str, float | int]]:
        """The figures of each pair of cameras that has a valid query, under names such as ``1->3`` (query, gallery)."""
        return {
            f"{_name(self.query_cameras[row])}->{_name(self.gallery_cameras[column])}": {
                "queries": int(self.queries[row, column]),
                "mAP": float(self.mean_average_precision[row, column]),
                "rank1": float(self.rank1[row, column]),
            }
            for row, column in zip(*np.nonzero(self.queries), strict=True)
        }


class OneCamera:
    """The part of a gallery that one camera took.

    Args:
        queries: labels of all queries.
        gallery: labels of the whole gallery.
        camera: which camera.
        same_camera: the camera rule.
    """

    def __init__(self, queries: Labels, gallery: Labels, camera: int, same_camera: SameCamera) -> None:
        self._columns = np.flatnonzero(gallery.cameras == camera)
        part = Labels(gallery.identities[self._columns], gallery.cameras[self._columns])
        self._lists = CandidateLists(queries, part, same_camera)
        self.longest = self._lists.longest

    def figures(self, scores: Array, start: int, stop: int) -> QueryFigures:
        """Figures of queries start..stop-1 among this camera's images, from their similarities to the gallery."""
        part = scores[:, self._columns]
        counter = HostCounter(part, start) if isinstance(part, np.ndarray) else DeviceCounter(part, start)
        return query_figures(counter, self._lists.pairs(start, stop), stop - start)


def evaluate_camera_pairs(
    block: ScoreBlock,
    query_labels: Labels,
    gallery_labels: Labels,
    same_camera: SameCamera = "ignore",
    memory_limit: float = MEMORY_LIMIT,
) -> CameraPairs:
    """MAP and Rank-1 for each pair of a query camera and a gallery camera.

    Cells of one camera with itself hold queries only with ``same_camera="keep"``, and where the camera is unknown.

    Args:
        block: similarities, a block of queries at a time; larger is more similar. Ties as in the ranking of the whole
            gallery.
        query_labels: identities and cameras of the queries.
        gallery_labels: identities and cameras of the gallery.
        same_camera: whether gallery images of the query's identity and camera are left out (``ignore``) or are
            matches (``keep``).
        memory_limit: MiB for a block of similarities and the work on it; a copy of one camera's part of it comes on
            top.

    Raises:
        InputError: shapes do not fit, a similarity is NaN, no query has a match, or the memory is too small.
    """
    queries, gallery = as_labels(query_labels, "query"), as_labels(gallery_labels, "gallery")
    count, size = len(queries.identities), len(gallery.identities)
    gallery_cameras = np.unique(gallery.cameras)
    cameras = [OneCamera(queries, gallery, camera, same_camera) for camera in gallery_cameras]
    longest = max((camera.longest for camera in cameras), default=0)
    precision, first_rank = np.empty((count, len(cameras))), np.empty((count, len(cameras)))
    for start, stop in block_ranges(count, queries_per_block(size, memory_limit, longest)):
        scores = checked_block(block, start, stop, size)
        for column, camera in enumerate(cameras):
            figures = camera.figures(scores, start, stop)
            precision[start:stop, column] = figures.average_precision
            first_rank[start:stop, column] = figures.first_rank
    if not first_rank.any():
        raise InputError(
            f"none of the {count} queries has a match in the gallery; "
            "check identities and cameras, or mark unknown cameras with -1"
        )
    query_cameras = np.unique(queries.cameras)
    of_camera = np.asarray(queries.cameras) == query_cameras[:, None]
    return CameraPairs(query_cameras, gallery_cameras, *_means(precision, first_rank, of_camera))


def _means(
    precision: NDArray[np.float64], first_rank: NDArray[np.float64], groups: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Valid queries, mean average precision and rank 1 of groups of queries (A, Q), from figures (Q, B)."""
    valid = first_rank > 0
    queries, precision_sum, firsts = (
        np.stack([values[group].sum(axis=0) for group in groups])
        for values in (valid, np.where(valid, precision, 0), first_rank == 1)
    )
    divisor = np.where(queries, queries, np.nan)
    return queries, precision_sum / divisor, firsts / divisor


def _name(camera: int) -> str:
    return "unknown" if camera == UNKNOWN_CAMERA else str(camera)
