"""What a file of exported weights says of itself besides its tensors: options of its net and the size of its images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

LARGEST = 4096  # pixels, or channels of a first stage: a file from elsewhere shall not fill the memory
OF_A_NET, OF_ITS_IMAGES = ("stem_relu", "width"), ("height", "width")


def exported_settings(path: Path, net: str) -> dict[str, bool | int]:
    """The values that an exported file was made with, by the keys that one would type for its evaluation.

    Args:
        path: any file of weights.
        net: what builds the chosen net, as its configuration names it.

    Returns:
        ``net.stem_relu``, ``net.width``, ``data.height`` and ``data.width``, as far as they are said; nothing for files
        of other programs, and for those of another net.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = file.metadata() or {}
        said, size = json.loads(text["net"]), {key: json.loads(text[key]) for key in OF_ITS_IMAGES}
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError):
        return {}
    if not isinstance(said, dict) or said.get("_target_") != net:
        return {}
    found: dict[str, Any] = {f"net.{key}": said.get(key) for key in OF_A_NET}
    found |= {f"data.{key}": size[key] for key in OF_ITS_IMAGES}
    return {key: value for key, value in found.items() if _can_be(key, value)}


def _can_be(key: str, value: Any) -> bool:
    return type(value) is bool if key == "net.stem_relu" else type(value) is int and 1 <= value <= LARGEST
