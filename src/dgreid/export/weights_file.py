"""safetensors: tensors and what they are, in a file that cannot hold code; written, and read back into a net."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from dgreid.errors import InputError
from dgreid.export.embedder import ImageEmbedder
from dgreid.export.subject import OF_INFERENCE_NET, OF_NET, Subject, as_text
from dgreid.nets.resnet import resnet50, resnet50_ibn_a
from dgreid.nets.small import small
from dgreid.nets.state_hash import state_sha256
from dgreid.nets.weights import RANDOM, read_state_dict
from dgreid.strategies.base import EmbeddingNet

WEIGHTS = "weights.safetensors"
# What a file may ask to be built: a name in it is looked up here, and never imported.
NETS: dict[str, Callable[..., nn.Module]] = {
    f"{make.__module__}.{make.__name__}": make for make in (resnet50, resnet50_ibn_a, small)
}
WAY_OUT = f"give the folder that `python -m dgreid.export format=safetensors` wrote, or its {WEIGHTS}"


def write_weights(subject: Subject, path: Path) -> None:
    """Writes tensors and facts, in a file with the usual permissions, which safetensors' own is not."""
    path.write_bytes(save(subject.tensors, metadata={"format": "pt", **as_text(subject.facts)}))


def can_be_built(facts: dict[str, Any]) -> bool:
    """Whether :func:`load_exported` needs no net of the caller's."""
    return facts["tensors"] == OF_NET and facts["net"].get("_target_") in NETS


def load_exported(place: str | Path, net: nn.Module | None = None) -> ImageEmbedder:
    """A net from an exported folder, without the run and without data.

    The file is not trusted: its word for a net is looked up among this package's own.

    Args:
        place: the folder that the export wrote, or its file of weights.
        net: a float32 module with these tensors, filled in place; needed for nets and inference nets of one's own.

    Returns:
        (N, 3, H, W) RGB images in [0, 1] to (N, D) unit embeddings, without gradients of its weights; its ``net`` takes
        normalised images.

    Raises:
        InputError: there is no such file, it is damaged or no export, or its tensors are not the net's.
    """
    path = Path(place) / WEIGHTS if Path(place).is_dir() else Path(place)
    facts = read_facts(path)
    if net is None:
        net = _build(path, facts)
    try:
        net.load_state_dict(read_state_dict(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} does not fit {type(net).__name__}: {reason}") from error
    if state_sha256(net) != facts["weights_sha256"]:
        raise InputError(f"{path} was changed or damaged: its tensors do not have the sha256 that stands in it")
    inference = net if facts["tensors"] == OF_INFERENCE_NET else EmbeddingNet(net)
    return ImageEmbedder(inference, facts["mean"], facts["std"]).requires_grad_(False)


def read_facts(path: Path) -> dict[str, Any]:
    """What an exported file says of itself.

    Raises:
        InputError: there is no such file, or it is no export.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; {WAY_OUT}")
    try:
        with safe_open(path, framework="pt") as file:
            text = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors; it may be cut short: {error}") from error
    try:
        facts: dict[str, Any] = {key: json.loads(text[key]) for key in ("net", "mean", "std", "height", "width")}
        return {**text, **facts, "weights_sha256": text["weights_sha256"], "tensors": text["tensors"]}
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} does not say what its tensors are; {WAY_OUT}. Other files: evaluate.py checkpoint=<file> net=..."
        ) from error


def _build(path: Path, facts: dict[str, Any]) -> nn.Module:
    arguments = dict(facts["net"])
    target = arguments.pop("_target_", None)
    if not can_be_built(facts):
        what = "inference net of one's own" if facts["tensors"] == OF_INFERENCE_NET else f"net of one's own ({target})"
        raise InputError(
            f"{path} holds the tensors of an {what}, and code that a file names is not run: give the module, "
            "load_exported(..., net=<module>); an ONNX export needs none"
        )
    try:
        with torch.random.fork_rng(devices=[]):
            return NETS[target](weights=RANDOM, **arguments)
    except TypeError as error:
        version = facts.get("dgreid_version")
        raise InputError(f"{path} was written by dgreid {version}, whose nets take other arguments: {error}") from error
