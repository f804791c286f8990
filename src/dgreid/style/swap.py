"""Exchange of styles between domains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dgreid.draws import RowDraws
from dgreid.style.base import Style, check_number
from dgreid.style.partners import of_another_domain
from dgreid.style.statistics import EPS, channel_statistics, restyle


class Swap(Style):
    """Each image in the style of an image of another domain: AdaIN (Huang & Belongie, ICCV 2017) within the batch.

    Statistics carry no gradient, and eps is within the roots on both sides. Needs the images' domains.

    Draws: ``uniform(B, 1, "partner")``; all images of other domains are as likely.

    Args:
        layers: whose maps are changed.
        probability: of being used.
        strength: 0 leaves an image its own means and standard deviations, 1 gives it its partner's.

    Raises:
        InputError: for values outside their range.
    """

    needs_domains = True

    def __init__(
        self, layers: Sequence[str] = ("backbone.layer1",), probability: float = 1.0, strength: float = 1.0
    ) -> None:
        super().__init__(layers, probability)
        check_number("strength", strength, 0, 1)
        self.strength = strength

    def apply(self, maps: Tensor, draws: RowDraws, domains: Tensor | None) -> Tensor:
        """Maps in the styles of others."""
        assert domains is not None
        statistics = channel_statistics(maps.detach())
        partner = of_another_domain(domains, draws).to(maps.device)
        mean, std = (
            torch.lerp(own, draws.together(own)[partner], self.strength)
            for own in (statistics.mean, statistics.std(EPS))
        )
        return restyle(maps, statistics, mean, std, EPS)
