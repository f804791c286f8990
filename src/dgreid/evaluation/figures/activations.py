"""Where on its images a net is active."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dgreid.evaluation.figures.canvas import image_label, new_figure, save
from dgreid.evaluation.observations.activation_energy import stretched
from dgreid.types import ReIDRecord

PAIRS_PER_ROW = 4
COLOUR_MAP, OPACITY = "viridis", 0.55
# Inches: an image, the gap within a pair and after it, the text below, the edge, and the scale on the right.
IMAGE_WIDTH, IMAGE_HEIGHT, WITHIN, BETWEEN, LABEL_HEIGHT, MARGIN, SCALE_WIDTH = 0.95, 1.9, 0.06, 0.3, 0.5, 0.15, 1.2


def activation_maps(
    records: Sequence[ReIDRecord], pixels: Sequence[NDArray[Any]], energies: NDArray[Any], path: Path
) -> Path:
    """Images, each with the channel energy of a net's last maps laid over it.

    Args:
        records: at least one image.
        pixels: of each, (H, W, 3) uint8 RGB as the net saw it.
        energies: (B, h, w) in 0..1, as ``channel_energy`` (observations/activation_energy.py) gives them.
        path: the PNG to write.
    """
    per_row = min(PAIRS_PER_ROW, len(records))
    rows = -(-len(records) // per_row)
    pair_width, row_height = 2 * IMAGE_WIDTH + WITHIN + BETWEEN, IMAGE_HEIGHT + LABEL_HEIGHT
    width, height = 2 * MARGIN + per_row * pair_width - BETWEEN + SCALE_WIDTH, MARGIN + rows * row_height
    figure = new_figure(width, height, layout="none")
    shown = None
    for place, (record, image, energy) in enumerate(zip(records, pixels, energies, strict=True)):
        left = MARGIN + place % per_row * pair_width
        bottom = height - MARGIN - place // per_row * row_height - IMAGE_HEIGHT
        for offset in (0, IMAGE_WIDTH + WITHIN):
            axes = figure.add_axes(
                ((left + offset) / width, bottom / height, IMAGE_WIDTH / width, IMAGE_HEIGHT / height)
            )
            axes.imshow(image, aspect="auto")
            axes.set(xticks=[], yticks=[])
            if not offset:
                axes.set_xlabel(image_label(record), fontsize=8, labelpad=5, loc="left")
        shown = axes.imshow(
            stretched(energy, *image.shape[:2]), cmap=COLOUR_MAP, vmin=0, vmax=1, alpha=OPACITY, aspect="auto"
        )
    assert shown is not None
    left, bottom = width - SCALE_WIDTH, height - MARGIN - IMAGE_HEIGHT
    scale = figure.add_axes((left / width, bottom / height, 0.12 / width, IMAGE_HEIGHT / height))
    bar = figure.colorbar(shown, cax=scale, ticks=[0, 0.5, 1])
    bar.set_label("channel energy,\nleast to most of an image", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return save(figure, path)
