"""Which net makes the embeddings of an index, and whether another one is the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from dgreid.errors import InputError
from dgreid.evaluation.flip import FlipAveraged
from dgreid.nets.state_hash import state_sha256
from dgreid.run.load import NAMED_CHECKPOINTS, LoadedRun, load_run

SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Weights:
    """What decides on an embedding; kept with each index.

    Attributes:
        run: the run's folder, absolute.
        checkpoint: a rule's name, or an absolute file.
        step: optimizer steps the weights took.
        sha256: of all parameters and buffers that inference uses.
        preprocessing: size, interpolation, mean, standard deviation, and whether mirror images are averaged in.
    """

    run: str
    checkpoint: str
    step: int
    sha256: str
    preprocessing: Mapping[str, Any]

    def require_same(self, other: Weights, index: Path) -> None:
        """Refuses to compare embeddings of this index's weights with those of others.

        Args:
            other: what was loaded now.
            index: the folder of the index these weights belong to.

        Raises:
            InputError: weights or preprocessing differ.
        """
        way_out = (
            "embeddings of different nets cannot be compared; give the run and checkpoint that the index was made "
            "with, or make another index: python -m dgreid.search index ... name=<another name>"
        )
        if other.sha256 != self.sha256:
            raise InputError(f"{index} was made with {self.described()}, not with {other.described()}: {way_out}")
        changed = [
            f"{key} was {value} and is {other.preprocessing.get(key)}"
            for key, value in self.preprocessing.items()
            if other.preprocessing.get(key) != value
        ]
        if changed:
            raise InputError(f"{index} was made with another preprocessing ({'; '.join(changed)}): {way_out}")

    def described(self) -> str:
        """For messages."""
        return (
            f"the weights {self.sha256[:SHOWN_DIGITS]} (checkpoint {self.checkpoint} of {self.run}, step {self.step})"
        )


def load_weights(
    folder: Path, checkpoint: str, flip: bool | None, trust: Sequence[str] = ()
) -> tuple[nn.Module, Weights, LoadedRun]:
    """The net of a run for inference, what identifies it, and the run.

    Args:
        folder: the run's.
        checkpoint: ``selected``, ``last``, ``source``, ``oracle``, ``initial``, or a file.
        flip: average the embedding with the mirror image's; None does as the run's evaluation.
        trust: as for :func:`dgreid.run.load.load_run`.

    Raises:
        InputError: no such run or checkpoint.
    """
    run = load_run(folder, checkpoint, trust=trust)
    net = run.inference_net
    flip = bool(run.record["preprocessing"]["flip_average"]) if flip is None else flip
    named = checkpoint if checkpoint in NAMED_CHECKPOINTS else str(Path(checkpoint).absolute())
    preprocessing = {
        "height": run.config.data.height, "width": run.config.data.width,
        "interpolation": run.record["preprocessing"]["interpolation"],
        "mean": list(run.module.mean), "std": list(run.module.std), "flip_average": flip,
    }  # fmt: skip
    facts = Weights(str(folder.absolute()), named, run.step, state_sha256(net), preprocessing)
    return FlipAveraged(net) if flip else net, facts, run
