"""A run's folder as ``train.py`` leaves it, its weights random and its statistics those of no data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra import compose, initialize_config_dir
from torch import nn

from dgreid.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from dgreid.export.subject import Subject, subject_of
from dgreid.run.build import build_module, build_net
from dgreid.run.compose import conf_folder, register_catalogue
from dgreid.run.load import load_run
from dgreid.run.training import resolve
from dgreid.types import DomainInfo

SOURCES = [DomainInfo("market1501", 5, 20, 6, "a" * 64), DomainInfo("msmt17v1", 4, 12, 15, "b" * 64)]
TRUST = ("own_inference",)
SMALL = ("net=small", "data.height=32", "data.width=16")
ROW = {
    "target": "cuhknp", "selection": "last", "step": 7, "domain": "unseen domain", "ranking": "cosine", "mAP": 0.123456,
    "rank1": 0.25, "rank5": 0.5, "rank10": 0.75, "mINP": 0.0625, "queries": 12, "invalid_queries": 0,
}  # fmt: skip


def stir(net: nn.Module) -> None:
    """Statistics and scales as training leaves them: no running mean at 0, no variance at 1, no shift at 0."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d):
                shape = layer.weight.shape
                layer.weight.copy_(0.5 + torch.rand(shape, generator=generator))
                layer.bias.copy_(torch.rand(shape, generator=generator) - 0.5)
                if layer.running_mean is not None:
                    layer.running_mean.copy_(torch.rand(shape, generator=generator) - 0.5)
                    layer.running_var.copy_(0.5 + torch.rand(shape, generator=generator))


def bare_run(
    folder: Path, *overrides: str, sources: str = "[market1501,msmt17v1]", result: bool = True, flip: bool = False
) -> Path:
    """A finished run of 7 steps with the checkpoints ``selected`` and ``last``; of the later of two values of a key."""
    typed = [f"sources={sources}", "target=cuhknp", f"data_root={folder}/somewhere", *SMALL, *overrides]
    words = list({word.partition("=")[0]: word for word in typed}.values())
    words += ["net.width=4"] if "net=small" in words else []
    register_catalogue()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("train", overrides=words)
    infos = [SOURCES[number % 2]._replace(name=name) for number, name in enumerate(config.sources)]
    module = build_module(config, build_net(config), infos)
    stir(module.net)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(resolve(config), sort_keys=False))
    (folder / "run.json").write_text(json.dumps(record([info._asdict() for info in infos], flip)))
    if result:
        (folder / "result.json").write_text(json.dumps({"format": 1, "selection": "last", "rows": [ROW]}))
    for name in ("selected", "last"):
        content = {"state_dict": module.state_dict(), "global_step": 7}
        torch.save(content, folder / "checkpoints" / f"{name}.ckpt")
    return folder


def record(sources: list[dict[str, Any]], flip: bool) -> dict[str, Any]:
    """What ``run.json`` says, in short."""
    return {
        "fingerprint": "f" * 64, "strategy": "fb", "protocol": "m3l/to_cuhknp", "use": "train", "seed": 0,
        "sources": sources,
        "weights": {"source": "/home/someone/weights.pth", "sha256": "c" * 64, "state_sha256": "d" * 64},
        "preprocessing": {
            "height": 32, "width": 16, "interpolation": "bicubic",
            "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD), "flip_average": flip,
        },
        "precision": {"trainer": "32-true", "matmul": "highest", "tf32": False},
        "environment": {"packages": {"torch": "2.15.0", "dgreid": "0.1.0"}},
    }  # fmt: skip


def bare_subject(folder: Path, *overrides: str, checkpoint: str = "selected", **kinds: Any) -> Subject:
    """What is exported of such a run."""
    return subject_of(load_run(bare_run(folder, *overrides, **kinds), checkpoint, trust=TRUST), checkpoint)
