"""What all styles share: when they are used, and on what."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from dgreid.draws import RowDraws
from dgreid.errors import InputError


class Style(ABC):
    """An operation on the maps of named layers in training.

    Args:
        layers: names as in ``net.named_modules()``.
        probability: of being used, drawn once for the whole batch and each layer.

    Attributes:
        needs_domains: whether images are to be told apart by domain.

    Raises:
        InputError: for values outside their range.
    """

    needs_domains = False

    def __init__(self, layers: Sequence[str], probability: float) -> None:
        named = isinstance(layers, Sequence) and not isinstance(layers, str) and all(isinstance(x, str) for x in layers)
        if not named or not layers or len(set(layers)) < len(layers):
            raise InputError(f"layers={layers!r}: must be a list of different layer names, e.g. [backbone.layer1].")
        check_number("probability", probability, 0, 1)
        self.layers = tuple(layers)
        self.probability = probability

    def __call__(self, maps: Tensor, draws: RowDraws, domains: Tensor | None = None) -> Tensor:
        """The maps in other styles, or the very same object where the style is not used.

        Args:
            maps: (B, C, H, W), at least two images and two pixels.
            draws: for these maps; the use itself is ``number("gate")``.
            domains: (B,) integers, the domain of each image.

        Raises:
            InputError: for maps without such statistics, or domains that are missing or all the same where the style
                needs them.
        """
        check_maps(maps)
        if self.needs_domains:
            check_domains(domains, len(maps), type(self).__name__, draws)
        if self.probability == 0 or (self.probability < 1 and draws.number("gate") >= self.probability):
            return maps
        return self.apply(maps, draws, domains)

    @abstractmethod
    def apply(self, maps: Tensor, draws: RowDraws, domains: Tensor | None) -> Tensor:
        """The maps in other styles, new memory; arguments as for a call, checked."""


def check_number(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuses what is not a finite number within ``low .. high``."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not low <= value <= high:
        rule = f"at least {low}" if high == math.inf else f"within {low}..{high}"
        raise InputError(f"{name}={value!r}: must be a number {rule}.")


def check_maps(maps: Tensor) -> None:
    """Refuses maps whose statistics over pixels or over the batch would not be numbers."""
    if maps.dim() != 4:
        raise InputError(
            f"a style changes maps (B, C, H, W), not {tuple(maps.shape)}: choose a layer that returns maps."
        )
    if len(maps) < 2 or maps.shape[2] * maps.shape[3] < 2:
        raise InputError(
            f"a style of maps {tuple(maps.shape)}: standard deviations need at least two images and two pixels; "
            "take larger batches, or an earlier layer."
        )


def check_domains(domains: Tensor | None, rows: int, style: str, draws: RowDraws) -> None:
    """Refuses domains that give some image no image of another domain."""
    if domains is not None and tuple(domains.shape) != (rows,):
        raise InputError(f"{style}: domains {tuple(domains.shape)} must have one number for each of the {rows} images.")
    if domains is None or bool((draws.together(domains) == domains[0]).all()):
        given = "no domains were given" if domains is None else f"all {rows} images are of one"
        raise InputError(
            f"{style} pairs images of different domains, but {given}: give it a batch of several domains, and say "
            "which image is of which."
        )
