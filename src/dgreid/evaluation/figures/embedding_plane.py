"""The map of embeddings: near each other is what the net finds similar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.embedding_map import LARGEST_MAP, MOST_COLOURED, EmbeddingSample, plane_of
from dgreid.evaluation.figures.canvas import COLOURS, legend_columns, legend_lines, new_figure, save, wrapped
from dgreid.types import UNKNOWN_CAMERA

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHERS, OTHERS_COLOUR = "", "#c8c8c8"
MARKERS = ("o", "s", "^", "D", "v", "P")
PANEL_WIDTH, LEGEND_CHARACTERS, LINE_HEIGHT = 5.0, 66, 0.165


def embedding_map(samples: Mapping[str, EmbeddingSample], path: Path, seed: int = 0) -> Path:
    """Embeddings in the plane (PCA, then t-SNE), three times: coloured by identity, by camera and by domain.

    A few identities and the most frequent cameras have a colour and a mark of their own, the others are grey.

    Args:
        samples: images of each domain, by its name; of many domains each shows fewer.
        path: the PNG to write.
        seed: of t-SNE.
    """
    parts = {name: sample.first(LARGEST_MAP // len(samples)) for name, sample in samples.items()}
    points = plane_of(np.concatenate([part.embeddings for part in parts.values()]), seed)
    panels = {"identity": _identities(parts), "camera": _cameras(parts), "domain": _domains(parts)}
    legends = {title: wrapped(_named(groups), LEGEND_CHARACTERS // 2) for title, groups in panels.items()}
    lines = max(legend_lines(labels, legend_columns(labels, LEGEND_CHARACTERS)) for labels in legends.values())
    figure = new_figure(3 * PANEL_WIDTH, PANEL_WIDTH + LINE_HEIGHT * (lines + 1))
    for axes, (title, groups) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        _scatter(axes, points, groups)
        axes.set_title(title, fontsize=11)
    return save(figure, path)


def _scatter(axes: Axes, points: NDArray[Any], groups: Sequence[str]) -> None:
    owners = np.array(groups)
    others = owners == OTHERS
    if others.any():
        grey = f"others ({others.sum():,})"
        axes.scatter(points[others, 0], points[others, 1], s=9, color=OTHERS_COLOUR, linewidths=0, label=grey)
    for place, group in enumerate(_named(groups)):
        axes.scatter(
            points[owners == group, 0], points[owners == group, 1], s=16, alpha=0.85, linewidths=0,
            label=wrapped([group], LEGEND_CHARACTERS // 2)[0], color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place // len(COLOURS) % len(MARKERS)],
        )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    labels = axes.get_legend_handles_labels()[1]
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=legend_columns(labels, LEGEND_CHARACTERS),
        frameon=False, fontsize=8, borderaxespad=0,
    )  # fmt: skip


def _named(groups: Sequence[str]) -> list[str]:
    """The groups with a colour of their own."""
    return [group for group in dict.fromkeys(groups) if group != OTHERS]


def _identities(parts: Mapping[str, EmbeddingSample]) -> list[str]:
    each = max(1, MOST_COLOURED // len(parts))
    return [
        f"{_prefix(parts, name)}{identity}" if identity in part.shown[:each] else OTHERS
        for name, part in parts.items()
        for identity in part.identities.tolist()
    ]


def _cameras(parts: Mapping[str, EmbeddingSample]) -> list[str]:
    seen = [
        f"{_prefix(parts, name)}{'unknown' if camera == UNKNOWN_CAMERA else camera}"
        for name, part in parts.items()
        for camera in part.cameras.tolist()
    ]
    shown = {label for label, _ in Counter(seen).most_common(MOST_COLOURED)}
    return [label if label in shown else OTHERS for label in seen]


def _domains(parts: Mapping[str, EmbeddingSample]) -> list[str]:
    return [name for name, part in parts.items() for _ in part.identities]


def _prefix(parts: Mapping[str, EmbeddingSample], name: str) -> str:
    """Identities and cameras of two domains are different ones, also where their numbers are the same."""
    return f"{name} " if len(parts) > 1 else ""
