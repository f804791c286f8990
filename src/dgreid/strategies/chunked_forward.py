"""A forward in training mode whose batch statistics, of normalisation and of styles, may be those of parts of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dgreid.batch_parts import BatchParts
from dgreid.draws import StepDraws
from dgreid.errors import InputError
from dgreid.style import Style, styled
from dgreid.types import Features

NONE: Mapping[str, Tensor] = {}


def chunked_features(
    net: nn.Module,
    images: Tensor,
    parts: BatchParts,
    style: Style | None = None,
    draws: StepDraws | None = None,
    domains: Tensor | None = None,
    replaced: Mapping[str, Tensor] = NONE,
) -> Features:
    """What ``DataParallel`` computes on as many devices as there are parts: each is a batch of its own.

    As there, running statistics follow the first part, and count one batch for the whole forward. One part is a plain
    forward.

    Args:
        net: in training mode.
        images: (B, 3, H, W), B a multiple of ``parts.chunks``, at least two images in each.
        parts: consecutive rows each.
        style: applied to each part by itself; None for none.
        draws: of this forward; needed for a style.
        domains: (B,) int64, which domain an image is of; for styles that ask.
        replaced: tensors that stand in for the net's parameters and buffers, by name.

    Raises:
        InputError: for a batch that cannot be divided so.
    """
    chunks = parts.chunks
    if len(images) % chunks or len(images) < 2 * chunks:
        raise InputError(
            f"statistics_chunks={chunks} of a forward of {len(images)} images: parts must be equal and of two images "
            "or more"
        )
    owners = [None] * chunks if domains is None else domains.chunk(chunks)
    features = []
    for position, (part, owner) in enumerate(zip(images.chunk(chunks), owners, strict=True)):
        with styled(net, style, None if draws is None else draws.at(position), owner):
            features.append(_forward(net, part, replaced if position == 0 else {**replaced, **_copied_buffers(net)}))
    return features[0] if chunks == 1 else type(features[0])(*(torch.cat(one) for one in zip(*features, strict=True)))


def _forward(net: nn.Module, images: Tensor, replaced: Mapping[str, Tensor]) -> Features:
    features: Features = functional_call(net, dict(replaced), (images,)) if replaced else net(images)
    return features


def _copied_buffers(net: nn.Module) -> dict[str, Tensor]:
    """For a forward that leaves the running statistics where they are."""
    return {name: buffer.clone() for name, buffer in net.named_buffers()}
