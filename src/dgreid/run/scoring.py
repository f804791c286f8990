"""From checkpoints to rows of metrics, lists per query and pictures."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as lightning
from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_info

from dgreid.data.images import read_image
from dgreid.data.modules import MultiDomainDataModule
from dgreid.data.sets import RetrievalSet
from dgreid.evaluation.figures import cmc_curves, ranked_gallery
from dgreid.evaluation.metric import RetrievalMetric
from dgreid.evaluation.ranked_lists import RankedQuery, ranked_queries, telling_queries, write_queries
from dgreid.module import ReIDModule
from dgreid.run.folder import CHECKPOINTS
from dgreid.run.results import Row
from dgreid.run.warm_start import read_checkpoint

PICTURES = "pictures"


def retrieval_metric(images: RetrievalSet) -> RetrievalMetric:
    """An empty metric for one set of query and gallery images."""
    return RetrievalMetric(images.identities, images.cameras, images.query_count)


def score_targets(
    trainer: lightning.Trainer,
    module: ReIDModule,
    data: MultiDomainDataModule,
    targets: Sequence[str],
    rule: str,
    step: int,
    seen: set[str],
) -> list[Row]:
    """Evaluates the module's present weights on each target.

    Args:
        trainer: moves batches and weights; its loggers get nothing.
        module: the net and strategy.
        data: knows the targets.
        targets: which of them.
        rule: name for the rows.
        step: optimizer steps that the weights took.
        seen: targets whose domain was trained on.
    """
    sets = {name: data.targets[name].target_set() for name in targets}
    for name, images in sets.items():
        count = len(images.records)
        rank_zero_info(
            f"evaluating on {name}: {images.query_count} query and {count - images.query_count} gallery images"
        )
    module.retrieval_metrics = {name: retrieval_metric(images) for name, images in sets.items()}
    loaders = [data.targets[name].retrieval_dataloader(images) for name, images in sets.items()]
    trainer.validate(module, dataloaders=loaders, verbose=False)
    rows = []
    for name, images in sets.items():
        result = module.retrieval_results[name]
        ranked: list[RankedQuery] = []
        if trainer.is_global_zero:
            embeddings = module.retrieval_metrics[name].embeddings
            ranked = ranked_queries(telling_queries(result), result, embeddings, images.records)
        rows.append(Row(name, rule, step, result, name in seen, images.query, ranked))
    module.retrieval_metrics = {}
    return rows


def rule_checkpoints(folder: Path, config: DictConfig, targets: Sequence[str]) -> dict[tuple[str, str], Path]:
    """The checkpoint of each selection rule that a run has data for, by rule and target.

    A rule whose score was never taken before training ended means the last checkpoint, the only candidate.
    """
    last = folder / CHECKPOINTS / "last.ckpt"
    found = {("last", target): last for target in targets}
    if config.holdout > 0:
        found.update({("source", target): folder / CHECKPOINTS / "source.ckpt" for target in targets})
    if config.evaluate_every:
        found.update({("oracle", target): folder / CHECKPOINTS / f"oracle_{target}.ckpt" for target in targets})
    return {key: path if path.is_file() else last for key, path in found.items()}


def score_rules(
    trainer: lightning.Trainer,
    module: ReIDModule,
    data: MultiDomainDataModule,
    checkpoints: Mapping[tuple[str, str], Path],
    seen: set[str],
) -> list[Row]:
    """A row for each rule and target; weights that several rules chose are evaluated once.

    Args:
        trainer: as for :func:`score_targets`.
        module: ends with the weights of the checkpoint that was loaded last.
        data: knows the targets.
        checkpoints: as :func:`rule_checkpoints` gives them.
        seen: targets whose domain was trained on.
    """
    rows: list[Row] = []
    known: dict[tuple[int, str], Row] = {}
    for (rule, target), path in checkpoints.items():
        content = read_checkpoint(path)
        step = int(cast(int, content["global_step"]))
        if (step, target) not in known:
            module.load_state_dict(cast(dict[str, Any], content["state_dict"]))
            wanted = list(data.targets) if rule != "oracle" else [target]
            scored = score_targets(trainer, module, data, wanted, rule, step, seen)
            known.update({(step, row.target): row for row in scored})
        rows.append(known[step, target]._replace(rule=rule))
    return rows


def mark_selected(chosen: Path) -> Path:
    """Makes ``checkpoints/selected.ckpt`` a second name (or a copy) of the chosen checkpoint."""
    selected = chosen.with_name("selected.ckpt")
    temporary = chosen.with_name("selected.new")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(chosen)
    except OSError:  # file systems without hard links
        shutil.copyfile(chosen, temporary)
    temporary.replace(selected)
    return selected


def write_lists_and_pictures(folder: Path, rows: Sequence[Row], selection: str) -> list[Path]:
    """``queries.csv`` (one per target if there are several), CMC curves of all rows and ranked galleries.

    Args:
        folder: where they go.
        rows: every evaluation.
        selection: the rule whose lists and galleries are written.

    Returns:
        The pictures.
    """
    chosen = [row for row in rows if row.rule == selection]
    curves = {_label(row): row.result.cmc for row in rows}
    pictures = [cmc_curves(curves, folder / PICTURES / "cmc.png")]
    for row in chosen:
        table = "queries.csv" if len(chosen) == 1 else f"queries_{row.target}.csv"
        write_queries(folder / table, row.queries, row.result)
        if row.ranked:
            pictures.append(ranked_gallery(row.ranked, read_image, folder / PICTURES / f"ranked_{row.target}.png"))
    return pictures


def _label(row: Row) -> str:
    step = "" if row.step is None else f" (step {row.step})"
    return f"{row.target}, {row.rule}{step}"
