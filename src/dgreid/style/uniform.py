"""IL's generator of styles."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dgreid.draws import RowDraws
from dgreid.style.base import Style, check_number
from dgreid.style.statistics import EPS, channel_statistics, restyle

SMALLEST_SPREAD = 1e-6


def interleaving_range(values: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """From where to where IL draws: the batch's mean -/+ ``strength`` of its standard deviations.

    Args:
        values: (B, C) means, or standard deviations, of the images' channels.
        strength: in standard deviations (unbiased, at least 1e-6).

    Returns:
        lower and upper ends, (C,) each.
    """
    middle, half_width = values.mean(dim=0), strength * values.std(dim=0).clamp(min=SMALLEST_SPREAD)
    return middle - half_width, middle + half_width


class Uniform(Style):
    """Means and standard deviations drawn uniformly around those of the whole batch (IL; Tan et al., TMM 2023).

    Every image and channel has its own two draws, independent of what the image looked like. A drawn standard deviation
    may be negative where the batch's images differ much: the map is then turned upside down, as in the IL release. It
    leaves out the eps in the standard deviations that it draws around, and has it in those it divides by; statistics
    carry no gradient.

    Draws: ``uniform(B, C, "mean")``, then ``uniform(B, C, "std")``; a draw is ``low + u * (high - low)``.

    Args:
        layers: whose maps are changed.
        probability: of being used.
        strength: half the range's width in standard deviations over the batch; 0 gives all images the batch's style.

    Raises:
        InputError: for values outside their range.
    """

    def __init__(
        self, layers: Sequence[str] = ("backbone.layer1",), probability: float = 1.0, strength: float = 3.0
    ) -> None:
        super().__init__(layers, probability)
        check_number("strength", strength, 0)
        self.strength = strength

    def apply(self, maps: Tensor, draws: RowDraws, domains: Tensor | None = None) -> Tensor:
        """Maps in drawn styles."""
        statistics = channel_statistics(maps.detach())
        mean = self._drawn(statistics.mean, draws, "mean")
        std = self._drawn(statistics.std(0), draws, "std")
        return restyle(maps, statistics, mean, std, EPS)

    def _drawn(self, values: Tensor, draws: RowDraws, name: str) -> Tensor:
        low, high = interleaving_range(draws.together(values), self.strength)
        rows, channels = values.shape
        return low + draws.uniform(rows, channels, name).to(values) * (high - low)
