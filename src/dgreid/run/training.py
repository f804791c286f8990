"""``train.py``: one run from a configuration to a folder of results."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as lightning
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_info
from torch import nn

from dgreid.callbacks import StepTimes, callbacks_of, peak_memory_bytes
from dgreid.data.domains.base import Domain
from dgreid.data.modules import MultiDomainDataModule
from dgreid.distributed import leave
from dgreid.evaluation.figures import training_curves
from dgreid.evaluation.scoring import Scoring
from dgreid.loggers import introduce, publish, read_metrics
from dgreid.module import ReIDModule
from dgreid.nets.state_hash import state_sha256
from dgreid.run.build import (
    build_data,
    build_domains,
    build_module,
    build_net,
    build_scoring,
    build_trainer,
    set_precision,
)
from dgreid.run.compose import task_overrides
from dgreid.run.continued import continued
from dgreid.run.continuing import check_folder, is_finished, resume_mode, take_up, tell_result
from dgreid.run.environment import environment
from dgreid.run.failures import failure_noted
from dgreid.run.folder import FORMAT, fingerprint, make_folder, quoted, run_folder
from dgreid.run.folder_lock import alone_in, check_unused
from dgreid.run.guards import check_leaks, check_start, check_training, names
from dgreid.run.launching import EarlyReport
from dgreid.run.planning import plan, wants_plan
from dgreid.run.processes import batch_line, effective_batch, process_count
from dgreid.run.protocols import deviations, variant_line
from dgreid.run.results import Row, print_table, summary_keys, target_record, versions, write_result
from dgreid.run.scoring import (
    PICTURES,
    held_out_thresholds,
    mark_selected,
    retrieval_metric,
    rule_checkpoints,
    score_rules,
    write_lists_and_pictures,
)


def train(config: DictConfig) -> None:
    """Checks, trains, evaluates, and writes the run's folder; with ``plan=true`` measures three steps instead.

    Raises:
        InputError: a value, a data set or the folder is refused; nothing has been trained or overwritten then.
    """
    mode, overrides = resume_mode(config.resume), task_overrides()
    config, kept = continued(config, overrides)
    check_training(config)
    check_start(config.init)
    sources, targets = build_domains(config, "sources"), build_domains(config, "target")
    seen = check_leaks(sources, targets, config.use, config.allow_seen_target)
    chosen = _choices()
    protocol = chosen.get("protocol")
    followed = {"protocol": protocol, "variant": deviations(config, protocol, sources, targets)}
    if wants_plan(config):
        plan(config, sources, targets, followed)
        return
    folder = run_folder(config, overrides, chosen.get("strategy", "strategy"))
    resolved = resolve(config)
    check_unused(folder)
    continues = check_folder(folder, resolved, mode)
    if continues and is_finished(folder, resolved):
        tell_result(folder)
        return
    set_precision(config)
    data = build_data(config, sources, targets)
    data.setup("fit")
    if not continues:
        data.check_images()
    module = build_module(config, build_net(config), data.infos())
    scoring = build_scoring(config)
    trainer = build_trainer(config, folder, list(targets))
    callbacks_of(trainer).insert(0, EarlyReport())
    facts = {**_facts(config, resolved, chosen, module), **followed, **kept, "targets": _target_records(targets)}
    facts["versions"] = versions(sources, targets)
    facts["batch"] = effective_batch(config, module.domains, trainer.world_size)
    about = (f"run folder: {folder}", batch_line(facts["batch"]), facts["weights"]["report"])
    rank_zero_info("\n".join(filter(None, (*about, *module.strategy.remarks()))))
    make_folder(folder)
    with alone_in(folder):
        resume_from = take_up(folder, resolved, mode, facts)
        with failure_noted(folder):
            introduce(trainer.loggers, resolved, facts)
            _fit(trainer, module, data, resume_from, scoring)
            facts.update(_costs(trainer))
            facts["skipped_steps"] = module.non_finite.skipped
            checkpoints = rule_checkpoints(folder, config, list(targets))
            selected = checkpoints[config.selection, next(iter(targets))]
            thresholds = held_out_thresholds(trainer, module, data, selected, scoring)
            rows = score_rules(trainer, module, data, checkpoints, seen, scoring, thresholds)
            if trainer.is_global_zero:
                mark_selected(selected)
                facts["metric"] = asdict(scoring)
                facts["open_set"] = None if thresholds is None else thresholds.record()
                _finish(trainer, folder, rows, facts, config.selection)
    leave()


def resolve(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, of the catalogue only the domains that take part."""
    resolved = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    taking_part = [*names(config.sources, "sources"), *names(config.target, "target")]
    resolved["domain"] = {name: resolved["domain"][name] for name in taking_part}
    resolved.pop("expected", None)  # the protocol's business, not what the run is
    if resolved.get("split_by") is None:
        resolved.pop("split_by", None)  # runs from before there was one stay the same
    if config.batch_statistics == "local":  # then their number is part of what the run is, and `auto` is not one
        nodes = config.trainer.get("num_nodes", 1)
        resolved["trainer"]["devices"] = process_count(config) // nodes
    return resolved


def _choices() -> dict[str, str]:
    if not HydraConfig.initialized():
        return {}
    return {str(group): str(option) for group, option in HydraConfig.get().runtime.choices.items() if option}


def _facts(config: DictConfig, resolved: dict[str, Any], choices: dict[str, str], module: ReIDModule) -> dict[str, Any]:
    """What is known before training, for ``run.json`` and ``result.json``."""
    return {
        "format": FORMAT,
        "fingerprint": fingerprint(resolved),
        "strategy": choices.get("strategy"),
        "use": config.use,
        "seed": config.seed,
        "sources": [info._asdict() for info in module.domains],
        "weights": _weights(module.net),
        "preprocessing": {
            "height": config.data.height, "width": config.data.width, "interpolation": "bicubic",
            "mean": list(module.mean), "std": list(module.std), "flip_average": config.metric.flip,
        },
        "precision": {
            "trainer": config.trainer.precision, "matmul": config.matmul_precision, "tf32": config.tf32,
        },
        "parameters": sum(parameter.numel() for parameter in module.net.parameters()),
        "environment": environment(),
        "command": task_overrides(),
    }  # fmt: skip


def _weights(net: nn.Module) -> dict[str, Any]:
    """Where the first weights came from (nets of one's own may not say), and a hash of all of them as they are."""
    report = getattr(net, "weights_report", None)
    told = {key: getattr(report, key) for key in ("source", "file", "sha256")} if report is not None else {}
    return {**told, "state_sha256": state_sha256(net), "report": report.details() if report is not None else None}


def _target_records(targets: dict[str, Domain]) -> list[dict[str, Any]]:
    return [target_record(name, domain) for name, domain in targets.items()]


def _fit(
    trainer: lightning.Trainer, module: ReIDModule, data: MultiDomainDataModule, resume_from: Path | None,
    scoring: Scoring,
) -> None:  # fmt: skip
    sets = {f"source/{name}": images for name, images in data.holdout_sets().items()}
    sets.update({f"target/{name}": images for name, images in data.target_sets().items()})
    module.retrieval_metrics = {name: retrieval_metric(images, scoring) for name, images in sets.items()}
    module.flip_average = scoring.flip
    trainer.fit(module, datamodule=data, ckpt_path=None if resume_from is None else str(resume_from), weights_only=True)


def _costs(trainer: lightning.Trainer) -> dict[str, Any]:
    times = next(callback for callback in callbacks_of(trainer) if isinstance(callback, StepTimes))
    return {
        "steps": int(trainer.global_step),
        "training_seconds": round(times.seconds, 3),
        "peak_memory_bytes": peak_memory_bytes(),
        "selection_scores": _scores(trainer),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _scores(trainer: lightning.Trainer) -> dict[str, float]:
    """What each monitored rule's best checkpoint scored when it was chosen, by the checkpoint's name."""
    callbacks = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor]
    return {
        Path(c.best_model_path).stem: float(c.best_model_score) for c in callbacks if c.best_model_score is not None
    }


def _finish(trainer: lightning.Trainer, folder: Path, rows: list[Row], facts: dict[str, Any], selection: str) -> None:
    """Writes lists, pictures and the result, and says where they are."""
    pictures = write_lists_and_pictures(folder, rows, selection)
    if (folder / "metrics.csv").is_file():
        pictures.append(training_curves(read_metrics(folder / "metrics.csv"), folder / PICTURES / "curves.png"))
    result = write_result(folder, rows, selection, facts)
    publish(trainer.loggers, summary_keys(rows), pictures, sorted(folder.glob("queries*.csv")))
    print_table(rows)
    if line := variant_line(facts):
        print(line)
    print(f"results:  {result}\npictures: {folder / PICTURES}")
    print(f"next:     python -m dgreid.evaluate run={quoted(folder)} target=<another domain>")
