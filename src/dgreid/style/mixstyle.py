"""MixStyle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from dgreid.draws import RowDraws
from dgreid.errors import InputError, check_one_of
from dgreid.style.base import Style, check_number
from dgreid.style.partners import of_another_domain
from dgreid.style.statistics import EPS, channel_statistics, restyle

Partner = Literal["random", "cross_domain"]


class MixStyle(Style):
    """Each image's means and standard deviations, mixed with those of another image (Zhou et al., ICLR 2021).

    ``weight * own + (1 - weight) * partner's``, the weight from Beta(concentration, concentration), one for an image.
    As published, statistics carry no gradient, and eps is within the roots on both sides.

    Draws: ``beta(B, concentration, "weight")``; ``permutation(B, "partner")``, or ``uniform(B, 1, "partner")`` for
    partners of other domains.

    Args:
        layers: whose maps are changed.
        probability: of being used.
        concentration: of the Beta distribution; the smaller, the closer weights are to 0 or 1.
        partner: ``random``, a permutation of the batch; ``cross_domain``, any image of another domain, all as likely.

    Raises:
        InputError: for values outside their range.
    """

    def __init__(
        self,
        layers: Sequence[str] = ("backbone.layer1", "backbone.layer2"),
        probability: float = 0.5,
        concentration: float = 0.1,
        partner: Partner = "random",
    ) -> None:
        super().__init__(layers, probability)
        check_number("concentration", concentration, 0)
        if concentration == 0:
            raise InputError("concentration=0: must be above 0; MixStyle's own is 0.1.")
        check_one_of("partner", partner, ("random", "cross_domain"))
        self.concentration = concentration
        self.partner = partner
        self.needs_domains = partner == "cross_domain"

    def apply(self, maps: Tensor, draws: RowDraws, domains: Tensor | None = None) -> Tensor:
        """Maps in mixed styles."""
        statistics = channel_statistics(maps.detach())
        mean, std = statistics.mean, statistics.std(EPS)
        weight = draws.beta(len(maps), self.concentration, "weight").to(mean)[:, None]
        partner = self._partners(len(maps), draws, domains).to(maps.device)
        mixed_mean, mixed_std = (torch.lerp(draws.together(own)[partner], own, weight) for own in (mean, std))
        return restyle(maps, statistics, mixed_mean, mixed_std, EPS)

    def _partners(self, rows: int, draws: RowDraws, domains: Tensor | None) -> Tensor:
        if self.partner == "random":
            return draws.permutation(rows, "partner")
        assert domains is not None
        return of_another_domain(domains, draws)
