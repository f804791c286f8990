"""DSU: domain shifts with uncertainty."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dgreid.draws import RowDraws
from dgreid.style.base import Style, check_number
from dgreid.style.statistics import EPS, channel_statistics, restyle

STEM_AND_STAGES = ("backbone.conv1", "backbone.layer1", "backbone.layer2", "backbone.layer3", "backbone.layer4")


class DSU(Style):
    """Means and standard deviations with normal noise, as wide as they vary in the batch (Li et al., ICLR 2022).

    ``own + n * strength * std over the batch``, n standard normal for each image and channel; eps is within all roots.
    As published, and unlike in the other styles, statistics carry gradient, those over the batch too.

    Draws: ``normal(B, C, "mean")``, then ``normal(B, C, "std")``.

    Args:
        layers: whose maps are changed. The paper also has those of the max-pooling in ResNet's stem.
        probability: of being used.
        strength: the noise's factor; 0 changes nothing.

    Raises:
        InputError: for values outside their range.
    """

    def __init__(
        self, layers: Sequence[str] = STEM_AND_STAGES, probability: float = 0.5, strength: float = 1.0
    ) -> None:
        super().__init__(layers, probability)
        check_number("strength", strength, 0)
        self.strength = strength

    def apply(self, maps: Tensor, draws: RowDraws, domains: Tensor | None = None) -> Tensor:
        """Maps in noisy styles."""
        statistics = channel_statistics(maps)
        mean = self._noisy(statistics.mean, draws, "mean")
        std = self._noisy(statistics.std(EPS), draws, "std")
        return restyle(maps, statistics, mean, std, EPS)

    def _noisy(self, values: Tensor, draws: RowDraws, name: str) -> Tensor:
        spread = (draws.together(values).var(dim=0) + EPS).sqrt()
        rows, channels = values.shape
        return values + draws.normal(rows, channels, name).to(values) * (self.strength * spread)
