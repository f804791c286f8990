"""The map of embeddings: near each other is what the net finds similar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgreid.evaluation.figures.canvas import COLOURS, legend_columns, legend_lines, new_figure, save, wrapped
from dgreid.evaluation.observations.embedding_map import LARGEST_MAP, MOST_COLOURED, EmbeddingSample, plane_of
from dgreid.types import UNKNOWN_CAMERA

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHERS_COLOUR = "#c8c8c8"
MARKERS = ("o", "s", "^", "D", "v", "P")
PANEL_WIDTH, LEGEND_CHARACTERS, LINE_HEIGHT = 5.0, 66, 0.165
LONGEST_NAME = 20

_Number: TypeAlias = tuple[str, int]


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
    lines = max(
        legend_lines(panel.legend, legend_columns(panel.legend, LEGEND_CHARACTERS)) for panel in panels.values()
    )
    figure = new_figure(3 * PANEL_WIDTH, PANEL_WIDTH + LINE_HEIGHT * (lines + 1))
    for axes, (title, panel) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        _scatter(axes, points, panel)
        axes.set_title(title, fontsize=11)
    return save(figure, path)


class _Panel(NamedTuple):
    """The group of each point by name, and the groups that have a colour of their own, in the legend's words too."""

    groups: list[str]
    shown: list[str]
    labels: list[str]

    @property
    def others(self) -> int:
        """How many points are in the other groups."""
        return sum(group not in self.shown for group in self.groups)

    @property
    def legend(self) -> list[str]:
        """Its entries; the others come first, under the coloured points."""
        return [*([f"others ({self.others:,})"] if self.others else []), *wrapped(self.labels, LEGEND_CHARACTERS // 2)]


def _scatter(axes: Axes, points: NDArray[Any], panel: _Panel) -> None:
    owners = np.array(panel.groups)
    labels = iter(panel.legend)
    if panel.others:
        rest = points[~np.isin(owners, panel.shown)]
        axes.scatter(rest[:, 0], rest[:, 1], s=9, color=OTHERS_COLOUR, linewidths=0, label=next(labels))
    for place, group in enumerate(panel.shown):
        own = points[owners == group]
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place // len(COLOURS) % len(MARKERS)]
        axes.scatter(
            own[:, 0], own[:, 1], s=16, color=colour, marker=marker, alpha=0.85, linewidths=0, label=next(labels)
        )
    axes.set(xticks=[], yticks=[])
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=legend_columns(panel.legend, LEGEND_CHARACTERS),
        frameon=False, fontsize=8, borderaxespad=0,
    )  # fmt: skip


def _identities(parts: Mapping[str, EmbeddingSample]) -> _Panel:
    each = max(1, MOST_COLOURED // len(parts))
    seen = [(name, identity) for name, part in parts.items() for identity in part.identities.tolist()]
    coloured = {(name, identity) for name, part in parts.items() for identity in part.shown[:each]}
    return _numbered(parts, seen, coloured)


def _cameras(parts: Mapping[str, EmbeddingSample]) -> _Panel:
    seen = [(name, camera) for name, part in parts.items() for camera in part.cameras.tolist()]
    return _numbered(parts, seen, {camera for camera, _ in Counter(seen).most_common(MOST_COLOURED)})


def _domains(parts: Mapping[str, EmbeddingSample]) -> _Panel:
    return _Panel([name for name, part in parts.items() for _ in part.identities], list(parts), list(parts))


def _numbered(parts: Mapping[str, EmbeddingSample], seen: list[_Number], coloured: set[_Number]) -> _Panel:
    """Groups that a domain numbers; in two domains the same number means two groups."""

    def text(group: _Number, name: str) -> str:
        known = "unknown" if group[1] == UNKNOWN_CAMERA else str(group[1])
        return f"{name} {known}" if len(parts) > 1 else known

    order = {name: place for place, name in enumerate(parts)}
    shown = sorted(coloured & set(seen), key=lambda group: (order[group[0]], group[1]))
    return _Panel(
        groups=[text(group, group[0]) for group in seen],
        shown=[text(group, group[0]) for group in shown],
        labels=[text(group, _shortened(group[0])) for group in shown],
    )


def _shortened(name: str) -> str:
    """A domain's name without its middle, where it is long: the legend of domains has it whole."""
    start, end = LONGEST_NAME // 3, LONGEST_NAME - LONGEST_NAME // 3
    return name if len(name) <= LONGEST_NAME else f"{name[:start]}\N{HORIZONTAL ELLIPSIS}{name[-end:]}"
