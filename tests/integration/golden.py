"""Ten float64 steps of each strategy from files to figures, as numbers; run as a program it rewrites the records."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

FOLDER = Path(__file__).resolve().parents[1] / "golden"
STEPS = 10
OVERRIDES = (
    "sources=[synthetic_plaza,synthetic_campus,synthetic_station]", "trainer.precision=64-true", "optim.lr=1e-3",
    "epochs=2", "steps_per_epoch=5", "data.identities_per_batch=4", "data.images_per_identity=3",
    "data.transform.random_erasing=0.5", "data.transform.colour_jitter=0.2", "logger=none",
)  # fmt: skip


class Recorder(Callback):
    """Notes the numbers of every step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        logged = {name: float(value) for name, value in trainer.callback_metrics.items() if _is_number_of_step(name)}
        self.steps.append({**dict(sorted(logged.items())), "loss": float(outputs["loss"])})


def _is_number_of_step(name: str) -> bool:
    return name not in ("seconds_per_step", "data_wait")


@torch.no_grad()
def draw_weights(module: nn.Module) -> None:
    """Replaces each random parameter by numbers of the same spread that every CPU draws alike.

    Torch's normal numbers differ in the last place from one instruction set to another, which ten steps carry to 1e-6.
    """
    generator = np.random.default_rng(0)
    for parameter in module.parameters():
        if parameter.numel() > 1 and float(parameter.std()) > 0:
            width = float(f"{float(parameter.std()):.1e}") * 3**0.5
            parameter.copy_(torch.from_numpy(generator.uniform(-width, width, tuple(parameter.shape))))


def golden_trace(strategy: str, data_root: Path, runs: Path) -> dict[str, Any]:
    """The record of one strategy.

    Args:
        strategy: its file's name in ``conf/strategy``.
        data_root: where the synthetic domains are kept.
        runs: where Lightning may write.
    """
    from small_runs import composed, typed

    from dgreid.run import build
    from dgreid.run.scoring import score_targets

    config = composed(typed(data_root, *OVERRIDES, f"strategy={strategy}", f"folder={runs / strategy}"))
    sources, targets = build.build_domains(config, "sources"), build.build_domains(config, "target")
    build.set_precision(config)
    data = build.build_data(config, sources, targets)
    data.setup("fit")
    module = build.build_module(config, build.build_net(config), data.infos())
    draw_weights(module)
    trainer = build.build_trainer(config, runs / strategy, list(targets))
    recorder = Recorder()
    trainer.callbacks.append(recorder)
    trainer.fit(module, datamodule=data)
    state = {name: float(tensor.double().norm()) for name, tensor in module.state_dict().items()}
    (row,) = score_targets(
        trainer, module, data, list(targets), "last", trainer.global_step, set(), build.build_scoring(config)
    )
    figures = {name: row.result.summary()[name] for name in ("mAP", "rank1", "rank5", "rank10", "mINP")}
    return {"steps": recorder.steps, "norms": state, "target": figures}


def write(data_root: Path, runs: Path) -> None:
    """Rewrites every record, and removes those of strategies that are gone."""
    from small_runs import strategies

    FOLDER.mkdir(exist_ok=True)
    for stale in {path.stem for path in FOLDER.glob("*.json")} - set(strategies()):
        (FOLDER / f"{stale}.json").unlink()
    for strategy in strategies():
        trace = golden_trace(strategy, data_root, runs)
        (FOLDER / f"{strategy}.json").write_text(json.dumps(trace, indent=1) + "\n", encoding="utf-8")
        print(f"{FOLDER / strategy}.json")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), Path(place) / "runs")
