"""An exported file must compute what the run computes, or it is not kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from dgreid.errors import InputError
from dgreid.export.embedder import ImageEmbedder, example_images

TOLERANCE = 1e-5
BATCHES = (1, 5)  # the ONNX graph is traced with another


def largest_difference(embedder: ImageEmbedder, exported: Callable[[Tensor], Tensor], height: int, width: int) -> float:
    """The largest absolute difference of a component of the unit embeddings, NaN if one is no number.

    Args:
        embedder: the run's own.
        exported: the same function, read back from the exported file.
        height: rows of the images, in pixels.
        width: columns.
    """
    differences = []
    for count in BATCHES:
        images = example_images(count, height, width)
        with torch.inference_mode():
            differences.append((exported(images) - embedder(images)).abs().max())
    return float(torch.stack(differences).max())


def require_parity(path: Path, difference: float) -> None:
    """Refuses what differs.

    Raises:
        InputError: the difference is above :data:`TOLERANCE`, or no number.
    """
    if not difference <= TOLERANCE:
        raise InputError(
            f"{path.name} was not kept: its embeddings differ from the run's by up to {difference:.3g}, allowed is "
            f"{TOLERANCE:g}; a net that computes in evaluation as in training (dropout, batch statistics), or with "
            "less than float32, cannot be exported exactly"
        )
