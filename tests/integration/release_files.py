"""Files with the structure of the published ones: torchvision's tensors under the releases' names."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import resnet50 as torchvision_resnet50

from dgreid.nets.small import small

WIDTH = 2048


def torchvision_net(stem_relu: bool) -> nn.Module:
    """Torchvision's ResNet-50 with stride 1 in the last stage, to its pooled features, in evaluation mode."""
    net = torchvision_resnet50(weights=None)
    net.layer4[0].conv2.stride = net.layer4[0].downsample[0].stride = (1, 1)
    net.fc = nn.Identity()
    if not stem_relu:
        for block in (net.layer1, net.layer2, net.layer3, net.layer4):
            for bottleneck in block:
                bottleneck.relu = nn.ReLU()
        net.relu = nn.Identity()
    return net.eval()


def trunk(seed: int = 0) -> dict[str, Tensor]:
    """Tensors of the backbone by torchvision's names, norms unlike any initialisation."""
    torch.manual_seed(seed)
    return {name: lively(name, value) for name, value in torchvision_net(True).state_dict().items()}


def neck(seed: int = 0) -> dict[str, Tensor]:
    """Tensors of the neck, with a bias as M3L trains it."""
    torch.manual_seed(seed + 1)
    return {name: lively(f"bn.{name}", value) for name, value in nn.BatchNorm1d(WIDTH).state_dict().items()}


def lively(name: str, value: Tensor) -> Tensor:
    """Convolutions as they are; scales and variances around 1, shifts and means around 0."""
    if value.ndim != 1:
        return value.clone() if value.ndim else value + 7
    return torch.rand_like(value) + 0.5 if name.endswith(("weight", "var")) else torch.randn_like(value) / 2


def split_norms(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The first norm of each block of the first three stages as IBN-a: half of it per instance, half per batch."""
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if not re.fullmatch(r"layer[123]\.\d+\.bn1\.\w+", name):
            found[name] = value
            continue
        half = len(value) // 2 if value.ndim else None
        if name.endswith(("weight", "bias")):
            found[name.replace("bn1", "bn1.IN")] = value[:half].clone()
        found[name.replace("bn1", "bn1.BN")] = value[half:].clone() if half else value
    return found


def m3l(backbone: dict[str, Tensor], neck: dict[str, Tensor]) -> OrderedDict[str, Tensor]:
    """The state dict of an M3L file: four statistics of MetaBN beside the neck's own."""
    meta = {f"meta_{kind}{domain}": torch.randn(WIDTH) for domain in (1, 2) for kind in ("mean", "var")}
    theirs = [(f"module.base.{name}", value) for name, value in backbone.items()]
    return OrderedDict(theirs + [(f"module.feat_bn.{name}", value) for name, value in {**neck, **meta}.items()])


def il(prefix: str, backbone: dict[str, Tensor], neck: dict[str, Tensor]) -> OrderedDict[str, Tensor]:
    """The state dict of an IL file: prefix "" (no stem ReLU) or "base." (with it)."""
    theirs = [(f"module.{prefix}{name}", value) for name, value in backbone.items()]
    return OrderedDict(theirs + [(f"module.feat_bn0.{name}", value) for name, value in neck.items()])


def save(path: Path, state: OrderedDict[str, Tensor]) -> Path:
    """As the releases save: best mAP as a numpy scalar, and the file format of old versions of torch."""
    content = {"state_dict": state, "epoch": 52, "best_mAP": np.float64(0.5)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


class Trap:
    """Code that an unpickler would run: it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def junk(folder: Path, kind: str) -> Path:
    """A file that is no checkpoint; those with code would write ``ran`` into the folder."""
    path = folder / "junk.pth.tar"
    if kind == "code":
        torch.save({"state_dict": {}, "epoch": Trap(folder / "ran")}, path)
    elif kind == "plain code":
        path.write_bytes(pickle.dumps({"state_dict": Trap(folder / "ran")}))
    elif kind == "cut":
        torch.save({"state_dict": small(width=4).state_dict()}, path)
        path.write_bytes(path.read_bytes()[:9000])
    elif kind == "cut, old format":
        torch.save({"state_dict": small(width=4).state_dict()}, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:-9000])
    elif kind == "page":
        path.write_bytes(b"<!DOCTYPE html><html>Sign in</html>")
    elif kind == "numbers":
        torch.save({"state_dict": {"a": torch.ones(2), "b.c": torch.ones(3)}}, path)
    else:
        torch.save({"no entries": {}, "nothing by name": {"state_dict": {}}, "a list": [torch.ones(1)]}[kind], path)
    return path
