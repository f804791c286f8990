"""Losses on a batch of features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dgreid.batch_parts import WHOLE, BatchParts
from dgreid.errors import InputError

SMALLEST_SQUARED_DISTANCE = 1e-12


def pairwise_distances(features: Tensor) -> Tensor:
    """Euclidean distances between all rows, at least 1e-6, with a second derivative (``torch.cdist`` has none).

    Args:
        features: (B, D).

    Returns:
        (B, B), from ``sqrt(max(|x|^2 + |y|^2 - 2 xy, 1e-12))``; the diagonal holds 1e-6 or rounding noise.
    """
    squared_norms = features.square().sum(dim=1)
    squared = squared_norms.unsqueeze(0) + squared_norms.unsqueeze(1) - 2 * features @ features.t()
    return squared.clamp(min=SMALLEST_SQUARED_DISTANCE).sqrt()


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float = 0.3, parts: BatchParts = WHOLE) -> Tensor:
    """Mean over anchors of ``relu(hardest positive - hardest negative + margin)`` (Hermans et al., 2017).

    The hardest positive is the farthest row of the anchor's label, the anchor itself included: an identity with one
    row has a positive at distance 1e-6. The hardest negative is the nearest row of any other label. Ties share the
    gradient evenly. Computed in float32 at least, whatever autocast says.

    Args:
        features: (B, D), not normalised; twice differentiable.
        labels: (B,); groups may have any size.
        margin: 0.3 in M3L and in Luo et al.
        parts: triplets are of one part each; the mean over parts is taken.

    Raises:
        InputError: for a part of one identity, which has no negatives.
    """
    pairs = zip(parts.of(features), parts.of(labels), strict=True)
    return torch.stack([_of_one_part(rows, theirs, margin) for rows, theirs in pairs]).mean()


def _of_one_part(features: Tensor, labels: Tensor, margin: float) -> Tensor:
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    if bool(same.all()):
        raise InputError(
            f"a batch, or a part of it with batch statistics of its own, with identity {int(labels[0])} alone has no "
            "negatives for the triplet loss: at least two identities are needed."
        )
    with torch.autocast(features.device.type, enabled=False):
        precise = features.to(torch.promote_types(features.dtype, torch.float32))
        distances = pairwise_distances(precise)
        hardest_positive = distances.masked_fill(~same, -torch.inf).amax(dim=1)
        hardest_negative = distances.masked_fill(same, torch.inf).amin(dim=1)
        return F.relu(hardest_positive - hardest_negative + margin).mean()
