"""How similar images of one person and of two people are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dgreid.evaluation.figures.canvas import new_figure, save
from dgreid.evaluation.observations.pair_histograms import CAMERAS, IDENTITIES, PairHistograms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS = ({"color": "#0072B2", "linestyle": "-"}, {"color": "#D55E00", "linestyle": "--"})
PANEL_HEIGHT, EMPTY_EDGE = 2.5, 0.03
FEW_PAIRS, MERGED = 5000, 4


def similarity_histograms(pairs: PairHistograms, path: Path, similarity: str = "cosine similarity") -> Path:
    """Densities of the similarity of a query and a gallery image, of one person and of two, by their cameras.

    A panel for each relation of the cameras of which there are pairs. Each density has area 1 whatever the number of
    its pairs, which the legend gives.

    Args:
        pairs: the counts.
        path: the PNG to write.
        similarity: what the pairs were compared by, for the axis.
    """
    pairs = _coarse(pairs)
    shown = [position for position in range(len(CAMERAS)) if pairs.counts[:, position].any()]
    figure = new_figure(8, 0.6 + PANEL_HEIGHT * len(shown))
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, camera in zip(panels, shown, strict=True):
        for identity, look in enumerate(LOOKS):
            counts = pairs.counts[identity, camera]
            total = int(counts.sum())
            if total:
                density = counts / (total * np.diff(pairs.edges))
                axes.stairs(density, pairs.edges, fill=True, alpha=0.3, color=look["color"])
                label = f"{IDENTITIES[identity]}\n{total:,} {'pair' if total == 1 else 'pairs'}"
                axes.stairs(density, pairs.edges, linewidth=1.3, label=label, **look)
        axes.set_title(CAMERAS[camera], fontsize=10, loc="left")
        axes.set(ylabel="density", xlabel=similarity, ylim=(0, None))
        axes.label_outer()
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, frameon=False, fontsize=9)
    _fit(panels[0], pairs)
    return save(figure, path)


def _coarse(pairs: PairHistograms) -> PairHistograms:
    """Wider bins where a class has few pairs, whose histogram would be a comb."""
    totals = pairs.counts.sum(axis=2)
    if not totals.any() or totals[totals > 0].min() >= FEW_PAIRS:
        return pairs
    counts = pairs.counts.reshape(*totals.shape, -1, MERGED)
    return PairHistograms(pairs.edges[::MERGED], counts.sum(axis=3))


def _fit(axes: Axes, pairs: PairHistograms) -> None:
    """Leaves out the empty ends of the axis that the panels share."""
    filled = np.flatnonzero(pairs.counts.sum(axis=(0, 1)))
    low, high = pairs.edges[filled[0]], pairs.edges[filled[-1] + 1]
    edge = EMPTY_EDGE * (high - low)
    axes.set_xlim(low - edge, high + edge)
