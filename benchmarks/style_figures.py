"""The pictures of styles, drawn: maps under each operation, batches as the net sees them, a plane of styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from style_views import Plane, Restyled, covariance, spread, telling_channels
from torch import Tensor

from dgreid.files import write_atomically

DOTS_PER_INCH = 110
PALETTE = 256
TURNED = "#c00000"
ORIGIN = {
    "uniform": "style drawn\naround those of\nthe whole batch,\neach channel\nby itself",
    "dsu": "its own style\nwith noise as\nwide as styles\nvary in the\nbatch",
}
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#7b3294", "#e69f00", "#555555", "#56b4e9", "#cc79a7")


def operations_figure(
    pictures: Tensor, maps: Tensor, row: int, shown: Sequence[Restyled], domain: Sequence[str], channels: int
) -> Figure:
    """Rows: an image's map as it is, then after each operation; columns: some channels, each on one colour scale.

    Args:
        pictures: (B, 3, H, W) uint8.
        maps: (B, C, H, W) before any operation.
        row: the image.
        shown: its map after each operation, Uniform's first.
        domain: of each image.
        channels: number of columns.
    """
    rows = [Restyled("before", maps[row]), *shown]
    chosen = telling_channels(maps[row], shown[0].maps, channels)
    values = torch.stack([one.maps[chosen] for one in rows])
    low, high = values.amin(dim=(0, 2, 3)).tolist(), values.amax(dim=(0, 2, 3)).tolist()
    means, stds = values.mean(dim=(2, 3)), values.flatten(2).std(dim=2)
    figure = Figure(figsize=(1.6 + 1.1 * len(chosen), 2.35 * len(rows)), dpi=DOTS_PER_INCH, layout="constrained")
    grid = figure.subplots(len(rows), len(chosen) + 1, squeeze=False)
    for line, (one, cells) in enumerate(zip(rows, grid, strict=True)):
        _left_cell(cells[0], one, pictures, row, domain)
        turned = (covariance(values[0], values[line]) < 0).tolist()
        for column, cell in enumerate(cells[1:]):
            cell.imshow(values[line, column].numpy(), vmin=low[column], vmax=high[column], cmap="viridis")
            std = float(stds[line, column]) * (-1 if turned[column] else 1)
            colour = TURNED if turned[column] else "black"
            cell.set_xlabel(f"mean {float(means[line, column]):.2f}\nstd {std:.2f}", fontsize=8, color=colour)
            _bare(cell)
    for cell, channel in zip(grid[0, 1:], chosen, strict=True):
        cell.set_title(f"channel {channel}", fontsize=9)
    return figure


def _left_cell(cell: Axes, one: Restyled, pictures: Tensor, row: int, domain: Sequence[str]) -> None:
    """The image itself, the image whose style it takes, or in words where its style comes from."""
    _bare(cell)
    cell.set_ylabel(one.name, fontsize=12, fontweight="bold")
    if one.name in ORIGIN:
        cell.text(0.5, 0.5, ORIGIN[one.name], ha="center", va="center", fontsize=8, transform=cell.transAxes)
        cell.spines[:].set_visible(False)
        return
    shown = row if one.partner is None else one.partner
    cell.imshow(_pixels(pictures[shown]))
    share = "style" if one.weight is None else f"{100 * (1 - one.weight):.0f} % of the style"
    role = "the image" if one.partner is None else f"{share} from"
    cell.set_xlabel(f"{role}\n{domain[shown]}", fontsize=8)


def batches_figure(batches: Mapping[str, Tensor]) -> Figure:
    """A row of images (B, 3, H, W) uint8 for each domain."""
    columns = max(map(len, batches.values()))
    figure = Figure(figsize=(0.9 * columns + 1.0, 1.95 * len(batches)), dpi=DOTS_PER_INCH, layout="constrained")
    grid = figure.subplots(len(batches), columns, squeeze=False)
    for (name, images), cells in zip(batches.items(), grid, strict=True):
        for cell, image in zip(cells, images, strict=False):
            cell.imshow(_pixels(image))
            _bare(cell)
        cells[0].set_ylabel(name.replace(" ", "\n"), fontsize=10)
    return figure


def space_figure(before: Tensor, after: Tensor, owners: Tensor, names: Sequence[str], plane: Plane) -> Figure:
    """The styles of images in a plane, before and after; both panels have the same axes.

    Args:
        before: (N, D), of which the plane is.
        after: (N, D).
        owners: (N,) positions in ``names``.
        names: of the domains.
        plane: what is shown.
    """
    shown = [plane.project(styles) for styles in (before, after)]
    everywhere = torch.cat(shown)
    width, height = (everywhere.amax(dim=0) - everywhere.amin(dim=0)).tolist()
    figure = Figure(figsize=(9.5, 1.9 + 4.4 * min(height / width, 1.5)), dpi=DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = ("before", "after interleaving")
    for panel, styles, points, title in zip(panels, (before, after), shown, titles, strict=True):
        for position, name in enumerate(names):
            x, y = points[owners == position].T.tolist()
            panel.scatter(x, y, s=18, alpha=0.7, linewidths=0, color=COLOURS[position % len(COLOURS)], label=name)
        panel.set_title(f"{title}\n", fontsize=12, fontweight="bold")
        everything = f"spread in all {styles.shape[1]} dimensions: {spread(styles):.1f}"
        panel.text(0.5, 1.02, everything, ha="center", va="bottom", fontsize=9, transform=panel.transAxes)
        panel.set_xlabel(f"first principal component ({100 * plane.shares[0]:.0f} % of the variance before)")
        panel.set_ylabel(f"second principal component ({100 * plane.shares[1]:.0f} %)")
        panel.set_aspect("equal")
        panel.grid(alpha=0.25)
        panel.label_outer()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(names)), frameon=False)
    return figure


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = image.permute(1, 2, 0).numpy()
    return pixels


def _bare(cell: Axes) -> None:
    cell.set(xticks=[], yticks=[])


def save(figure: Figure, path: Path) -> Path:
    """Writes a PNG that differs only where what it shows does."""
    return write_atomically(path, lambda temporary: figure.savefig(temporary, metadata={"Software": None}))


def save_with_palette(figure: Figure, path: Path) -> Path:
    """The same for photographs, in a third of the bytes: few colours, dithered."""

    def write(temporary: Path) -> None:
        figure.savefig(temporary)
        with Image.open(temporary) as picture:
            pixels = picture.convert("RGB")
        palette = pixels.quantize(PALETTE, kmeans=3)
        pixels.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(temporary, optimize=True)

    return write_atomically(path, write)
