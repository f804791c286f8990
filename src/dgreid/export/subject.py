"""What of a run is exported: the function that its evaluation used, its tensors, and what must be known of both."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from dgreid import __version__
from dgreid.export.embedder import ImageEmbedder, embedding_dimension
from dgreid.nets.state_hash import state_sha256
from dgreid.run.folder import CONFIG
from dgreid.run.load import LoadedRun
from dgreid.strategies.base import EmbeddingNet

OF_NET = "net"
OF_INFERENCE_NET = "inference_net"


@dataclass(frozen=True)
class Subject:
    """A run's inference, on the CPU.

    Attributes:
        embedder: RGB images in [0, 1] to unit embeddings.
        net: the module whose tensors are the weights: the run's net, or the whole inference net where the strategy
            embeds with more than the net.
        height: rows of an image, in pixels.
        width: columns.
        config: the run's resolved configuration, as plain values.
        record: what ``run.json`` says.
        facts: what an exported file says of itself, as plain values.
    """

    embedder: ImageEmbedder
    net: nn.Module
    height: int
    width: int
    config: dict[str, Any]
    record: dict[str, Any]
    facts: dict[str, Any]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All parameters and buffers by name, contiguous."""
        return {name: value.detach().contiguous() for name, value in self.net.state_dict().items()}


def subject_of(run: LoadedRun, checkpoint: str) -> Subject:
    """What is exported of a run.

    Args:
        run: loaded with the wanted weights.
        checkpoint: which these are, for the facts; of a file its name is kept, not its place.

    Raises:
        InputError: the strategy's inference net does not give one unit vector for each image.
    """
    config = yaml.safe_load((run.folder / CONFIG).read_text(encoding="utf-8"))
    height, width = config["data"]["height"], config["data"]["width"]
    # Maps with channels side by side, which training is faster with, would be traced as index arithmetic.
    inference = run.inference_net.to(memory_format=torch.contiguous_format)
    is_net_alone = type(inference) is EmbeddingNet and inference.net is run.module.net
    net = run.module.net if is_net_alone else inference
    embedder = ImageEmbedder(inference, run.module.mean, run.module.std)
    facts = {
        "dgreid_version": __version__,
        "strategy": run.record["strategy"],
        "sources": [source["name"] for source in run.record["sources"]],
        "checkpoint": Path(checkpoint).name,
        "step": run.step,
        "run_fingerprint": run.record["fingerprint"],
        "tensors": OF_NET if is_net_alone else OF_INFERENCE_NET,
        "net": {key: value for key, value in config["net"].items() if key != "weights"},
        "weights_sha256": state_sha256(net),
        "height": height,
        "width": width,
        "interpolation": run.record["preprocessing"]["interpolation"],
        "mean": list(run.module.mean),
        "std": list(run.module.std),
        "embedding_dimension": embedding_dimension(embedder, height, width),
    }
    return Subject(embedder, net, height, width, config, run.record, facts)


def as_text(facts: dict[str, Any]) -> dict[str, str]:
    """Facts as file formats keep them: words as they are, everything else as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
