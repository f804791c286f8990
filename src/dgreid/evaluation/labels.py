"""Who is on each image, and which gallery images count for a query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgreid.errors import InputError, check_one_of
from dgreid.types import UNKNOWN_CAMERA

Array: TypeAlias = Tensor | NDArray[Any]
Numbers: TypeAlias = NDArray[Any]
SameCamera: TypeAlias = Literal["ignore", "keep"]


class Labels(NamedTuple):
    """Who is on each image of a set, and which camera took it.

    Attributes:
        identities: (N,) integers.
        cameras: (N,) integers, -1 where unknown.
    """

    identities: Array
    cameras: Array


class Candidates(NamedTuple):
    """The gallery images that show one query's identity; ascending gallery indices.

    Attributes:
        positives: those that count as matches.
        junk: those of the query's own camera; they are taken out of its ranking.
    """

    positives: NDArray[np.int64]
    junk: NDArray[np.int64]


def as_numbers(values: Array) -> Numbers:
    """The values as a numpy array on the CPU, without a copy where possible; half precision becomes float32."""
    tensor = torch.as_tensor(values).detach().cpu()
    return (tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor).numpy()


def as_labels(labels: Labels, name: str) -> Labels:
    """Labels as int64 numpy arrays.

    Raises:
        InputError: identities and cameras are not two lists of integers of one length.
    """
    identities, cameras = (as_numbers(values) for values in labels)
    if identities.ndim != 1 or identities.shape != cameras.shape:
        raise InputError(
            f"{name}: identities have shape {identities.shape} and cameras {cameras.shape}; "
            "give one identity and one camera (-1 if unknown) for each image"
        )
    if identities.dtype.kind not in "iu" or cameras.dtype.kind not in "iu":
        raise InputError(f"{name}: identities and cameras are {identities.dtype} and {cameras.dtype}; give integers")
    return Labels(identities.astype(np.int64), cameras.astype(np.int64))


def require_row_each(rows: Array, labels: Labels, name: str) -> None:
    """Refuses embeddings that are more or fewer than the labels.

    Raises:
        InputError: as said.
    """
    if len(rows) != len(labels.identities):
        raise InputError(
            f"{name}: {len(rows)} embeddings but {len(labels.identities)} identities; give one row for each image"
        )


def candidates(query: Labels, gallery: Labels, same_camera: SameCamera = "ignore") -> Iterator[Candidates]:
    """For each query the gallery images of its identity. An unknown camera (-1) is never the same camera.

    Args:
        query: labels of the queries, as :func:`as_labels` gives them.
        gallery: labels of the gallery, likewise.
        same_camera: what becomes of gallery images of the query's identity and camera: ``ignore`` takes them out of
            its ranking (the field's rule), ``keep`` counts them as matches.

    Raises:
        InputError: another value of ``same_camera``.
    """
    check_one_of("same_camera", same_camera, ("ignore", "keep"))
    order = np.argsort(gallery.identities, kind="stable")
    grouped = np.asarray(gallery.identities)[order]
    starts = np.searchsorted(grouped, query.identities, "left")
    stops = np.searchsorted(grouped, query.identities, "right")
    cameras = np.asarray(gallery.cameras)
    for start, stop, camera in zip(starts, stops, np.asarray(query.cameras), strict=True):
        columns = order[start:stop]
        junk = (cameras[columns] == camera) & (camera != UNKNOWN_CAMERA) & (same_camera == "ignore")
        yield Candidates(columns[~junk], columns[junk])
