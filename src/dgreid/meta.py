"""What meta-learning needs besides a net: an inner step with its slope, and MetaBN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dgreid.batch_parts import normalised, shared_moments

MetaBNScale = Literal["std", "variance"]
Statistics = tuple[Tensor, Tensor]

# A fresh Adam's first step with the release's constants: its 1e-8 inside the second moment weighs 1e-8 / (1 - 0.999).
DAMPING = 1e-5
EPSILON = 1e-8


@dataclass(frozen=True)
class InnerStep:
    """One step of a fresh Adam from zero state, with L2 weight decay: M3L's inner update.

    With g = gradient + weight_decay * parameter, elementwise
    ``parameter - learning_rate * g / (sqrt(g^2 + 1e-5) + 1e-8)``: a sign step for large g, linear for |g| << 0.003.
    A gradient of 0 is no special case.

    Attributes:
        learning_rate: largest change of a scalar.
        weight_decay: see above.
    """

    learning_rate: float
    weight_decay: float

    def __call__(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """The parameter after the step; differentiable in both, same shape."""
        g = gradient + self.weight_decay * parameter
        moved: Tensor = parameter - self.learning_rate * g / ((g.square() + DAMPING).sqrt() + EPSILON)
        return moved

    def slope(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """Derivative of the step's length, before the learning rate, by g: at most 316, the same shape."""
        g = gradient + self.weight_decay * parameter
        root = (g.square() + DAMPING).sqrt_()
        return (DAMPING + EPSILON * root) / (root * (root + EPSILON).square())


def batch_statistics(features: Tensor) -> Statistics:
    """Mean and biased variance of each channel of (B, D) features, detached: what MetaBN keeps of a domain."""
    variance, mean = torch.var_mean(features.detach(), dim=0, correction=0)
    return mean, variance


def metabn(
    features: Tensor,
    statistics: Sequence[Statistics],
    normals: Sequence[Tensor],
    weight_of_samples: float,
    scale: MetaBNScale,
    neck: tuple[Tensor, Tensor],
    eps: float,
    shared: bool = False,
) -> list[Tensor]:
    """MetaBN (Zhao et al., CVPR 2021): features mixed with draws from each meta-train domain's statistics.

    For each domain k: ``mixed_k = w * (mean_k + spread_k * normals_k) + (1 - w) * features``, then batch normalisation
    of ``mixed_k`` by its own statistics. Draws carry no gradient. A variance of 0 is no special case.

    Args:
        features: (B, D) pooled features of the meta-test domain.
        statistics: per meta-train domain the mean and biased variance of its pooled features, (D,) each.
        normals: per meta-train domain (B, D) standard normal draws.
        weight_of_samples: w, in 0..1, shared by all.
        scale: the spread: ``std``, the square root of the variance, or ``variance``, as in the M3L release.
        neck: weight and bias of the neck's batch normalisation, (D,) each.
        eps: of the neck's batch normalisation.
        shared: batch normalisation is by the rows of all processes.

    Returns:
        per meta-train domain (B, D) neck features, not normalised to unit length.
    """
    outputs = []
    for (mean, variance), draws in zip(statistics, normals, strict=True):
        spread = variance.sqrt() if scale == "std" else variance
        mixed = weight_of_samples * (mean + spread * draws) + (1 - weight_of_samples) * features
        if shared:
            outputs.append(normalised(mixed, shared_moments(mixed), *neck, eps))
        else:
            outputs.append(F.batch_norm(mixed, None, None, *neck, training=True, eps=eps))
    return outputs
