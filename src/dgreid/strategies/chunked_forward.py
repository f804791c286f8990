"""A forward in training mode whose batch statistics, of normalisation and of styles, may be those of parts of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dgreid.draws import StepDraws
from dgreid.errors import InputError
from dgreid.style import Style, styled
from dgreid.types import Features


def chunked_features(
    net: nn.Module,
    images: Tensor,
    chunks: int,
    style: Style | None,
    draws: StepDraws,
    domains: Tensor | None = None,
) -> Features:
    """What ``DataParallel`` computes on as many devices: each part of the batch is a batch of its own.

    As there, running statistics follow the first part, and count one batch for the whole forward. One chunk is a plain
    forward.

    Args:
        net: in training mode.
        images: (B, 3, H, W), B a multiple of ``chunks``, at least two images in each.
        chunks: number of parts, consecutive rows each.
        style: applied to each part by itself; None for none.
        draws: of this forward.
        domains: (B,) int64, which domain an image is of; for styles that ask.

    Raises:
        InputError: for a batch that cannot be divided so.
    """
    if len(images) % chunks or len(images) < 2 * chunks:
        raise InputError(
            f"statistics_chunks={chunks} of a forward of {len(images)} images: parts must be equal and of two images "
            "or more"
        )
    owners = [None] * chunks if domains is None else domains.chunk(chunks)
    parts = []
    for position, (part, owner) in enumerate(zip(images.chunk(chunks), owners, strict=True)):
        with styled(net, style, draws.at(position, chunks), owner):
            parts.append(net(part) if position == 0 else _without_a_trace(net, part))
    return parts[0] if chunks == 1 else type(parts[0])(*(torch.cat(one) for one in zip(*parts, strict=True)))


def _without_a_trace(net: nn.Module, images: Tensor) -> Features:
    """A forward that moves copies of the running statistics."""
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    features: Features = functional_call(net, buffers, (images,))
    return features
