"""From checkpoints to rows of metrics, lists per query and pictures."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as lightning
from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_info

from dgreid.callbacks import embedding_progress
from dgreid.data.images import read_image
from dgreid.data.modules import DomainDataModule, MultiDomainDataModule
from dgreid.data.sets import RetrievalSet
from dgreid.evaluation.figures import cmc_curves
from dgreid.evaluation.metric import RetrievalMetric
from dgreid.evaluation.pictures import evaluation_pictures, observe
from dgreid.evaluation.ranked_lists import write_queries
from dgreid.evaluation.scoring import COSINE, Scoring
from dgreid.files import second_name
from dgreid.module import ReIDModule
from dgreid.run.activation_maps import activations
from dgreid.run.checkpoints import CHECKPOINTS, read_checkpoint
from dgreid.run.embeddings import Keep, embedding_set
from dgreid.run.open_set import Thresholds, scores_of, thresholds_from
from dgreid.run.results import Row
from dgreid.types import ReIDRecord

PICTURES = "pictures"


def retrieval_metric(images: RetrievalSet, scoring: Scoring) -> RetrievalMetric:
    """An empty metric for one set of query and gallery images."""
    return RetrievalMetric(images.identities, images.cameras, images.query_count, scoring)


def embed(
    trainer: lightning.Trainer,
    module: ReIDModule,
    data: Mapping[str, DomainDataModule],
    sets: Mapping[str, RetrievalSet],
    scoring: Scoring,
) -> dict[str, RetrievalMetric]:
    """Embeds sets of images with the module's present weights.

    Args:
        trainer: moves batches and weights; its loggers get nothing.
        module: the net and strategy; its ``retrieval_results`` become those of the sets.
        data: reads the images of each set, by its name.
        sets: query and gallery images, by name.
        scoring: how they are compared.

    Returns:
        The metric of each set; on rank 0 it holds all embeddings.
    """
    for name, images in sets.items():
        count = len(images.records)
        rank_zero_info(
            f"evaluating on {name}: {images.query_count} query and {count - images.query_count} gallery images"
        )
    metrics = {name: retrieval_metric(images, scoring) for name, images in sets.items()}
    module.retrieval_metrics, module.flip_average = metrics, scoring.flip
    loaders = [data[name].retrieval_dataloader(images) for name, images in sets.items()]
    with embedding_progress(trainer, sum(len(images.records) for images in sets.values())):
        trainer.validate(module, loaders, verbose=False)
    module.retrieval_metrics = {}
    return metrics


def score_targets(
    trainer: lightning.Trainer,
    module: ReIDModule,
    data: MultiDomainDataModule,
    targets: Sequence[str],
    rule: str,
    step: int,
    seen: set[str],
    scoring: Scoring,
    thresholds: Thresholds | None = None,
    keep: Keep | None = None,
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
        scoring: how embeddings are compared.
        thresholds: for "not in the gallery"; those of other weights, or with another ``flip``, are passed over.
        keep: gets the rule, the target and its embeddings.

    Returns:
        On rank 0 a row for each target and ranking; on other ranks one for each target.
    """
    sets = {name: data.targets[name].target_set() for name in targets}
    metrics = embed(trainer, module, data.targets, sets, scoring)
    rows: list[Row] = []
    for name, images in sets.items():
        row = Row(name, rule, step, module.retrieval_results[name], name in seen, images.query)
        if not trainer.is_global_zero:
            rows.append(row)
            continue
        first, *further = _all_rankings(row, images, metrics[name], scoring, thresholds)
        shown = shown_images(first)
        rows += [
            first._replace(activations=activations(module, data.targets[name].target_images(shown), shown)),
            *further,
        ]
        if keep is not None:
            keep(rule, name, embedding_set(images, metrics[name].embeddings, data.targets[name].domain, module.net))
    return rows


def _all_rankings(
    plain: Row, images: RetrievalSet, metric: RetrievalMetric, scoring: Scoring, thresholds: Thresholds | None
) -> list[Row]:
    """The plain row with its further figures, and a row for each further ranking."""
    labels = (metric.query_labels, metric.gallery_labels)
    rows = []
    for ranking, block in scoring.rankings(metric.query_embeddings, metric.gallery_embeddings):
        figures = scoring.figures(block, *labels)
        if ranking != COSINE:
            rows.append(plain._replace(ranking=ranking, result=scoring.score(block, *labels), figures=figures))
            continue
        if thresholds is not None and (thresholds.step, thresholds.flip) == (plain.step, scoring.flip):
            figures["open_set"] = thresholds.reached(scores_of(metric))
        limit = scoring.memory_limit
        observed = observe(
            block, plain.result, images.records, metric.embeddings, scoring.same_camera, memory_limit=limit
        )
        rows.append(plain._replace(figures=figures, observed=observed))
    return rows


def shown_images(row: Row) -> list[ReIDRecord]:
    """The queries of a row's ranked lists, each with its best gallery image."""
    shown: list[ReIDRecord] = []
    for ranked in row.observed.ranked if row.observed is not None else ():
        allowed = (match for match, ignored in zip(ranked.matches, ranked.ignored, strict=True) if not ignored)
        shown += [ranked.query, *itertools.islice(allowed, 1)]
    return shown


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
    scoring: Scoring,
    thresholds: Thresholds | None,
) -> list[Row]:
    """Rows for each rule and target; weights that several rules chose are evaluated once.

    Args:
        trainer: as for :func:`score_targets`.
        module: ends with the weights of the checkpoint that was loaded last.
        data: knows the targets.
        checkpoints: as :func:`rule_checkpoints` gives them.
        seen: targets whose domain was trained on.
        scoring: how embeddings are compared.
        thresholds: for "not in the gallery".
    """
    rows: list[Row] = []
    known: dict[tuple[int, str], list[Row]] = {}
    for (rule, target), path in checkpoints.items():
        content = read_checkpoint(path)
        step = int(cast(int, content["global_step"]))
        if (step, target) not in known:
            module.load_state_dict(cast(dict[str, Any], content["state_dict"]))
            wanted = list(data.targets) if rule != "oracle" else [target]
            scored = score_targets(trainer, module, data, wanted, rule, step, seen, scoring, thresholds)
            known.update({(step, name): [row for row in scored if row.target == name] for name in wanted})
        rows += [row._replace(rule=rule) for row in known[step, target]]
    return rows


def held_out_thresholds(
    trainer: lightning.Trainer, module: ReIDModule, data: MultiDomainDataModule, checkpoint: Path, scoring: Scoring
) -> Thresholds | None:
    """Thresholds for "not in the gallery" of a checkpoint; None if nobody is held out or no rate is asked for.

    Args:
        trainer: as for :func:`score_targets`.
        module: ends with the weights of the checkpoint.
        data: knows the sources.
        checkpoint: the file.
        scoring: how embeddings are compared, and the rates.
    """
    sets = data.holdout_sets()
    if not sets or not scoring.open_set_rates:
        return None
    content = read_checkpoint(checkpoint)
    module.load_state_dict(cast(dict[str, Any], content["state_dict"]))
    metrics = embed(trainer, module, data.wholes, sets, scoring)
    if not trainer.is_global_zero:
        return None
    step = int(cast(int, content["global_step"]))
    return thresholds_from(list(metrics.values()), scoring.open_set_rates, step)


def mark_selected(chosen: Path) -> Path:
    """Makes ``checkpoints/selected.ckpt`` a second name (or a copy) of the chosen checkpoint."""
    return second_name(chosen, chosen.with_name("selected.ckpt"))


def write_lists_and_pictures(folder: Path, rows: Sequence[Row], selection: str) -> list[Path]:
    """``queries.csv`` (one per target if there are several) and the pictures.

    Args:
        folder: where they go.
        rows: every evaluation.
        selection: the rule whose lists are written and whose rows are drawn; CMC curves are of all rows.

    Returns:
        The pictures.
    """
    chosen = [row for row in rows if row.rule == selection and row.ranking == COSINE]
    curves = {_label(row): row.result.cmc for row in rows}
    pictures = [cmc_curves(curves, folder / PICTURES / "cmc.png")]
    for row in chosen:
        table = "queries.csv" if len(chosen) == 1 else f"queries_{row.target}.csv"
        write_queries(folder / table, row.queries, row.result)
        if row.activations is not None:
            pictures.append(row.activations.draw(folder / PICTURES / f"activations_{row.target}.png"))
    observed = {row.target: row.observed for row in chosen if row.observed is not None}
    return [*pictures, *evaluation_pictures(folder / PICTURES, observed, read_image)]


def _label(row: Row) -> str:
    step = "" if row.step is None else f" (step {row.step})"
    ranking = "" if row.ranking == COSINE else f", {row.ranking}"
    return f"{row.target}, {row.rule}{step}{ranking}"
