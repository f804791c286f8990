"""What the pictures of styles show, as tensors: an image's maps under each operation, and a plane through styles."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dgreid.data.transforms import normalise
from dgreid.draws import RowDraws
from dgreid.style import DSU, MixStyle, Swap, Uniform, channel_statistics
from dgreid.style.partners import of_another_domain


class Restyled(NamedTuple):
    """An image's map after one operation.

    Attributes:
        name: of the operation.
        maps: (C, H, W).
        partner: row of the image whose style was used, if there is one.
        weight: of the image's own style, where it is mixed with the partner's.
    """

    name: str
    maps: Tensor
    partner: int | None = None
    weight: float | None = None


def layer_maps(net: nn.Module, pictures: Tensor, layer: str) -> Tensor:
    """What a layer returns in training mode; with a style, if one is open.

    Args:
        net: left in training mode.
        pictures: (B, 3, H, W) uint8.
        layer: a name in ``net.named_modules()``.
    """
    kept: list[Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda module, inputs, output: kept.append(output))
    with torch.no_grad():
        net.train()(normalise(pictures))
    handle.remove()
    return kept[0].clone()


def operations(maps: Tensor, owners: Tensor, draws: RowDraws) -> tuple[int, list[Restyled]]:
    """One image's map after each operation on the whole batch.

    The image is the one that MixStyle mixes most evenly with an image of another domain: most weights are near 0 or 1.

    Args:
        maps: (B, C, H, W).
        owners: (B,) the domain of each image.
        draws: of the batch; each operation asks under its own name.

    Returns:
        the image's row, and its maps.
    """
    mixstyle, swap = MixStyle(probability=1.0), Swap(probability=1.0)
    of_mixstyle, of_swap = draws.under("mixstyle"), draws.under("swap")
    weights = of_mixstyle.beta(len(maps), mixstyle.concentration, "weight")
    partners = of_mixstyle.permutation(len(maps), "partner")
    evenness = (weights - 0.5).abs() + (owners[partners] == owners)
    row = int(evenness.argmin())
    lenders = of_another_domain(owners, of_swap)
    return row, [
        Restyled("uniform", Uniform()(maps, draws.under("uniform"))[row]),
        Restyled("mixstyle", mixstyle(maps, of_mixstyle)[row], int(partners[row]), float(weights[row])),
        Restyled("dsu", DSU(probability=1.0)(maps, draws.under("dsu"))[row]),
        Restyled("swap", swap(maps, of_swap, owners)[row], int(lenders[row])),
    ]


def telling_channels(before: Tensor, after: Tensor, count: int) -> list[int]:
    """The channels of one image's map that vary most over its pixels, at last the one turned upside down most.

    Args:
        before: (C, H, W).
        after: the same in another style.
        count: how many; fewer if there are not so many, and no special last one if none was turned.
    """
    chosen = before.flatten(1).std(dim=1).topk(min(count, len(before))).indices.tolist()
    agreement = covariance(before, after)
    most_turned = int(agreement.argmin())
    if agreement[most_turned] >= 0 or most_turned in chosen:
        return sorted(chosen)
    return [*sorted(chosen[:-1]), most_turned]


def covariance(before: Tensor, after: Tensor) -> Tensor:
    """(C,) of two maps (C, H, W) over their pixels; negative where the one is the other upside down."""
    first, second = (maps.flatten(1) - maps.flatten(1).mean(dim=1, keepdim=True) for maps in (before, after))
    return (first * second).mean(dim=1)


def style_vectors(maps: Tensor) -> Tensor:
    """Each image's means, then standard deviations: (B, 2 C) of maps (B, C, H, W)."""
    statistics = channel_statistics(maps)
    return torch.cat([statistics.mean, statistics.std(0)], dim=1)


class Plane(NamedTuple):
    """The two directions in which points vary most.

    Attributes:
        shares: of the variance of these points, along each direction.
        project: other points (N, D) to (N, 2).
    """

    shares: tuple[float, float]
    project: Callable[[Tensor], Tensor]


def principal_plane(points: Tensor) -> Plane:
    """The plane of the first two principal components of points (N, D).

    Signs are those that make the largest entry of a direction positive, so that equal points give equal pictures.
    """
    middle = points.double().mean(dim=0)
    _, lengths, directions = torch.linalg.svd(points.double() - middle, full_matrices=False)
    pair = directions[:2]
    largest = pair.gather(1, pair.abs().argmax(dim=1, keepdim=True))
    axes = (pair * largest.sign()).T
    first, second = (lengths[:2].square() / lengths.square().sum()).tolist()
    return Plane((first, second), lambda others: (others.double() - middle) @ axes)


def spread(points: Tensor) -> float:
    """Root mean square distance of points (N, D) from their mean."""
    return float((points - points.mean(dim=0)).square().sum(dim=1).mean().sqrt())
