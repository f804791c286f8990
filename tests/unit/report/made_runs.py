"""Folders of runs without a training: what a run writes, with figures that a test chooses."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dgreid.report.reading import Run, read_run
from dgreid.run.folder import fingerprint

WEIGHTS = {"source": "imagenet", "file": "", "sha256": "ab" * 32, "state_sha256": "cd" * 32, "report": "weights"}


def queries(count: int, mean: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Average precisions and first ranks of some queries."""
    generator = np.random.default_rng(seed)
    precision = np.clip(generator.normal(mean, 0.2, count), 0.01, 1)
    return precision, np.where(generator.random(count) < mean, 1, generator.integers(2, 40, count))


def make_run(
    folder: Path, strategy: str = "fb", target: str = "market1501", seed: int = 0, group: str | None = "p3",
    precision: Sequence[float] | np.ndarray = (0.2, 0.4, 0.6, 0.8),
    first_rank: Sequence[int] | np.ndarray = (1, 2, 1, 1), rules: Mapping[str, float] | None = None,
    config: Mapping[str, Any] | None = None, scored: bool = True, **record: Any,
) -> Path:  # fmt: skip
    """Writes ``config.yaml``, ``run.json``, ``result.json`` and ``queries.csv``.

    Args:
        folder: of the run.
        strategy: its name.
        target: tested on.
        seed: of the run.
        group: of its protocol; None for none.
        precision: of each query.
        first_rank: of each query.
        rules: mAP by further selection rules.
        config: values that replace others, by name.
        scored: whether it has a result.
        **record: values that replace others in the record.
    """
    folder.mkdir(parents=True)
    values = {
        "seed": seed, "sources": ["msmt17v1", "cuhk_sysu"], "target": target, "use": "train+test", "epochs": 2,
        "steps_per_epoch": 10, "selection": "last", "init": None, "loss_style": None, "trainer": {"max_steps": -1},
        "strategy": {"_target_": f"dgreid.strategies.{strategy}.{strategy.upper()}"},
        "data": {"identities_per_batch": 16, "images_per_identity": 4}, "optim": {"lr": 0.1}, **(config or {}),
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    figures = {"mAP": float(np.mean(precision)), "rank1": float(np.mean(np.asarray(first_rank) == 1))}
    rows = [{"target": target, "selection": values["selection"], "step": 20, **figures}]
    rows += [
        {"target": target, "selection": rule, "step": 9, **figures, "mAP": one} for rule, one in (rules or {}).items()
    ]
    facts = {
        "format": 1, "strategy": strategy, "protocol": f"{group}/to_{target}" if group else None, "variant": [],
        "seed": seed, "weights": WEIGHTS, "fingerprint": fingerprint(values), "parameters": 25_600_000,
        "environment": {"commit": "abc", "device": "cpu", "python": "3.11", "packages": {"torch": "2"}},
        "targets": [{"name": target, "query": {"list_hash": "q"}, "gallery": {"list_hash": "g"}}], **record,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(facts))
    if scored:
        ended = {"selection": values["selection"], "rows": rows, "steps": 20, "training_seconds": 120.0}
        ended |= {"peak_memory_bytes": {"process": 2_000_000_000}, "finished": "2026-11-21T10:00:00+0000"}
        (folder / "result.json").write_text(json.dumps({**ended, **facts}))
        with (folder / "queries.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(("path", "identity", "camera", "AP", "first_rank"))
            for place, (one, rank) in enumerate(zip(precision, first_rank, strict=True)):
                table.writerow((f"/data/{place:04}.jpg", place // 2, 0, repr(float(one)), int(rank)))
    return folder


def made(folder: Path, **values: Any) -> Run:
    """A run's folder, read."""
    return read_run(make_run(folder, **values))


def method(
    folder: Path, strategy: str, means: Sequence[float], targets: Sequence[str] = ("market1501",), **values: Any
) -> list[Run]:
    """Runs of a method, one for each seed and target, with a mean of their average precisions for each seed."""
    runs = []
    for target in targets:
        for seed, mean in enumerate(means):
            precision, first_rank = queries(60, mean, 7)  # queries are as hard for all; seeds differ in their mean
            place = folder / strategy / target / f"seed{seed}"
            figures = {"precision": precision, "first_rank": first_rank}
            runs.append(made(place, strategy=strategy, target=target, seed=seed, **figures, **values))
    return runs
