"""One name for the values of all weights of a net."""

from __future__ import annotations

import hashlib

from torch import nn


def state_sha256(net: nn.Module) -> str:
    """Sha256 (hex) of all parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
