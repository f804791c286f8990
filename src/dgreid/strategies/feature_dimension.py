"""What a strategy asks of a net before it has seen an image."""

from __future__ import annotations

from torch import nn

from dgreid.errors import InputError


def feature_dimension(net: nn.Module) -> int:
    """Width of a net's pooled and neck features.

    Raises:
        InputError: if the net does not say.
    """
    width = getattr(net, "feature_dimension", None)
    if not isinstance(width, int):
        raise InputError(
            f"{type(net).__name__} must have an integer attribute `feature_dimension`: its features' width."
        )
    return width
