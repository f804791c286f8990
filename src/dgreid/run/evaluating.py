"""``evaluate.py``: checkpoints of a run on its own or on other targets, or a file of weights without a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as lightning
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from dgreid.data.domains.synthetic import SyntheticDomain
from dgreid.data.modules import MultiDomainDataModule
from dgreid.errors import InputError
from dgreid.evaluation.scoring import Scoring
from dgreid.files import require_within
from dgreid.loggers import introduce, publish
from dgreid.run.build import build_data, build_domains, build_loggers, build_scoring, set_precision
from dgreid.run.compose import task_overrides
from dgreid.run.embeddings import Keep, export_to
from dgreid.run.environment import environment
from dgreid.run.folder import folder_suffix
from dgreid.run.guards import check_leaks, check_workers, names
from dgreid.run.load import NAMED_CHECKPOINTS, find_checkpoint, load_run, read_run
from dgreid.run.open_set import Thresholds, stored_thresholds
from dgreid.run.protocols import of_an_evaluation, variant_line
from dgreid.run.released import (
    EVALUATIONS,
    as_for_a_file,
    check_request,
    file_facts,
    load_released,
    output_folder,
    said_by_the_file,
)
from dgreid.run.results import Row, print_table, summary_keys, target_record, versions, write_result
from dgreid.run.scoring import PICTURES, score_targets, write_lists_and_pictures
from dgreid.run.trust import trusted_modules

DRAWN = f"{SyntheticDomain.__module__}."


def evaluate(config: DictConfig) -> None:
    """Scores the chosen weights on each target, prints a table and writes a folder of results.

    Raises:
        InputError: what was asked for does not go together; no such run, checkpoint or domain; a file that is not of
            the chosen net; or a target whose people were trained on.
    """
    check_request(config, _typed())
    check_workers(config.workers, "workers")
    if config.run is None:
        _evaluate_file(config)
    else:
        _evaluate_run(config)


def _evaluate_run(config: DictConfig) -> None:
    """Writes ``<run>/evaluations/...``."""
    runs = names(config.run, "run")
    if len(runs) > 1:
        raise InputError(f"run names {len(runs)} folders: one at a time, or several by -m run={','.join(runs)}")
    folder = Path(runs[0])
    checkpoints = names(config.checkpoint, "checkpoint")
    trust = trusted_modules(config.trust)
    of_the_run, record = read_run(folder, trust)
    config = as_in_the_run(config, of_the_run)
    targets, sources = build_domains(config, "target"), build_domains(of_the_run, "sources")
    seen = check_leaks(sources, targets, of_the_run.use, config.allow_seen_target or of_the_run.allow_seen_target)
    for name in set(checkpoints) - {"initial"}:
        for target in targets:
            find_checkpoint(folder, name, target)
    output = folder / EVALUATIONS / f"{'+'.join(targets)}_{'+'.join(map(_short_name, checkpoints))}"
    output = require_within(folder, output.with_name(output.name + folder_suffix(_own_overrides())))
    set_precision(of_the_run)
    scoring, thresholds = build_scoring(config), stored_thresholds(folder)
    keep = export_to(config.export, len(checkpoints) * len(targets))
    data = build_data(config, {}, targets)
    data.setup("validate")
    trainer = _trainer(config, folder)
    rows = [
        row
        for name in checkpoints
        for row in _score(trainer, folder, name, data, seen, scoring, thresholds, keep, trust)
    ]
    facts = {
        "run": str(folder), "fingerprint": record["fingerprint"], "sources": record["sources"],
        "targets": [target_record(name, domain) for name, domain in targets.items()], "seed": record["seed"],
        "versions": record.get("versions", {}) | versions(targets),
        "strategy": record["strategy"], **of_an_evaluation(record, of_the_run, config, targets), "use": record["use"],
        "weights": record["weights"], "preprocessing": {**record["preprocessing"], "flip_average": scoring.flip},
        "precision": {**record["precision"], "trainer": config.precision}, "environment": environment(),
        "command": task_overrides(), "metric": asdict(scoring),
        "open_set": None if thresholds is None else thresholds.record(),
    }  # fmt: skip
    config.name = of_the_run.name
    _write(config, output, rows, facts)


def _evaluate_file(config: DictConfig) -> None:
    """Writes ``<runs>/evaluations/<file>-<its sha256>/...``."""
    (checkpoint,) = names(config.checkpoint, "checkpoint")
    said = said_by_the_file(Path(checkpoint), config, _typed())
    config = as_for_a_file(config, said)
    targets = build_domains(config, "target")
    set_precision(config)
    scoring, keep = build_scoring(config), export_to(config.export, len(targets))
    loaded = load_released(Path(checkpoint), config, _typed() | said.keys())
    print(loaded.line)
    if said:
        print(f"  as the file says: {', '.join(f'{key}={str(value).lower()}' for key, value in said.items())}")
    data = build_data(config, {}, targets)
    data.setup("validate")
    output = output_folder(config, loaded.report, list(targets), folder_suffix(_own_overrides()))
    trainer = _trainer(config, output)
    scored = score_targets(trainer, loaded.module, data, list(targets), checkpoint, 0, set(), scoring, None, keep)
    facts = {
        **file_facts(loaded, config),
        "targets": [target_record(name, domain) for name, domain in targets.items()],
        "versions": versions(targets),
        "environment": environment(),
        "command": task_overrides(),
        "metric": asdict(scoring),
    }
    _write(config, output, [row._replace(step=None, seen=None) for row in scored], facts)


def _write(config: DictConfig, output: Path, rows: Sequence[Row], facts: Mapping[str, Any]) -> None:
    """Lists, pictures and ``result.json`` in a folder and to loggers, the table on the terminal."""
    result = write_result(output, rows, rows[-1].rule, facts)
    pictures = write_lists_and_pictures(output, rows, rows[-1].rule)
    if "job_type" in config.logger:
        config.logger.job_type = "eval"
    loggers = build_loggers(config, output)
    introduce(loggers, cast(dict[str, Any], OmegaConf.to_container(config, resolve=True)), facts)
    publish(loggers, summary_keys(rows), pictures, sorted(output.glob("queries*.csv")))
    print_table(rows)
    if line := variant_line(facts):
        print(line)
    print(f"results:  {result}\npictures: {output / PICTURES}")


def _typed() -> set[str]:
    """Keys of what was typed."""
    return {override.partition("=")[0].lstrip("+~").partition("@")[0] for override in task_overrides()}


def as_in_the_run(config: DictConfig, of_the_run: DictConfig) -> DictConfig:
    """The evaluation's configuration with all that it leaves open taken from the run.

    Places on this machine, and what was typed for this evaluation, stay as they are.
    """
    typed = _typed()
    config = with_domains_of(config, of_the_run)
    if "metric" not in typed:
        _overlay(config.metric, of_the_run.get("metric", {}), "metric", typed)
    for key in {"expansion", "reranking"} - {name.partition(".")[0] for name in typed}:
        config[key] = of_the_run.get(key)
    config.target = config.target if config.target is not None else of_the_run.target
    config.data = of_the_run.data
    config.data.workers = config.workers
    config.data.cache = "none"
    if config.batch_size is not None:
        config.data.test_batch_size = config.batch_size
    config.use, config.seed, config.holdout = of_the_run.use, of_the_run.seed, 0.0
    return config


def with_domains_of(config: DictConfig, of_the_run: DictConfig) -> DictConfig:
    """A copy of the configuration whose domains, and synthetic benchmark, are the run's where none was typed."""
    typed = _typed()
    config = config.copy()
    OmegaConf.set_struct(config, False)
    drawn_in = config.synthetic.get("folder")
    for node in {"synthetic", "domain"} - typed:
        _overlay(config[node], of_the_run.get(node, {}), node, typed)
    _draw_in(config, drawn_in, typed)
    return config


def _draw_in(config: DictConfig, folder: str | None, typed: set[str]) -> None:
    """Keeps the embedded benchmark where it was: its domains alone write, and where to is no business of a run's."""
    if folder is not None:
        config.synthetic.folder = folder
    for name, domain in config.domain.items():
        if str(domain.get("_target_")).startswith(DRAWN) and f"domain.{name}.folder" not in typed:
            domain.folder = config.synthetic.folder


def _overlay(node: DictConfig, of_the_run: DictConfig, prefix: str, typed: set[str]) -> None:
    """Takes over the run's values, but none that was typed, and none that follows another value (a folder, a seed)."""
    for key, value in of_the_run.items():
        path = f"{prefix}.{key!s}"
        if key in node and OmegaConf.is_interpolation(node, str(key)):
            continue
        if isinstance(value, DictConfig) and isinstance(node.get(key), DictConfig):
            _overlay(node[key], value, path, typed)
        elif path not in typed:
            node[key] = value


def _trainer(config: DictConfig, folder: Path) -> lightning.Trainer:
    try:
        return lightning.Trainer(
            accelerator=config.accelerator, devices=1, precision=config.precision, logger=False,
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=str(folder),
        )  # fmt: skip
    except (MisconfigurationException, ValueError) as error:
        raise InputError(f"accelerator={config.accelerator} precision={config.precision}: {error}") from error


def _short_name(checkpoint: str) -> str:
    """A checkpoint in a folder's name: files of one name, or with the name of a rule, stay apart."""
    if checkpoint in NAMED_CHECKPOINTS:
        return checkpoint
    path = Path(checkpoint).absolute()
    return f"{path.stem}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _own_overrides() -> Sequence[str]:
    shown_or_without_effect = (
        "run", "checkpoint", "net", "target", "batch_size", "workers", "accelerator", "export", "trust",
    )  # fmt: skip
    return [o for o in task_overrides() if o.partition("=")[0] not in shown_or_without_effect]


def _score(
    trainer: lightning.Trainer, folder: Path, checkpoint: str, data: MultiDomainDataModule, seen: set[str],
    scoring: Scoring, thresholds: Thresholds | None, keep: Keep | None, trust: Sequence[str],
) -> list[Row]:  # fmt: skip
    """Rows of one checkpoint; with rule ``oracle`` each target has a checkpoint of its own."""
    thresholds = thresholds if checkpoint in NAMED_CHECKPOINTS else None  # a file may hold another run's weights
    if checkpoint != "oracle":
        run = load_run(folder, checkpoint, trust=trust)
        targets = list(data.targets)
        return score_targets(trainer, run.module, data, targets, checkpoint, run.step, seen, scoring, thresholds, keep)
    rows = []
    for target in data.targets:
        run = load_run(folder, checkpoint, target, trust)
        rows += score_targets(
            trainer, run.module, data, [target], checkpoint, run.step, seen, scoring, thresholds, keep
        )
    return rows
