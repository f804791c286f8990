"""Which image lends its style to which."""

from __future__ import annotations

from torch import Tensor

from dgreid.draws import RowDraws


def of_another_domain(domains: Tensor, draws: RowDraws) -> Tensor:
    """For each image one of another domain, all of them as likely; asks ``uniform(B, 1, "partner")``.

    Args:
        domains: (B,) integers; at least two different among all rows that count together.
        draws: of this batch.

    Returns:
        (B,) int64 on the CPU, positions among the rows that count together.
    """
    everybody = draws.together(domains).cpu()
    domains = domains.cpu()
    foreign = domains[:, None] != everybody
    count = foreign.sum(dim=1)
    # Draws that are given may be 1.
    chosen = (draws.uniform(len(domains), 1, "partner").flatten().double() * count).long().minimum(count - 1)
    # The chosen-th foreign image, from 0, stands where so many and one have been counted for the first time.
    return (foreign.cumsum(dim=1) <= chosen[:, None]).sum(dim=1)
