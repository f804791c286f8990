"""From configuration to objects: domains, data, net, strategy, module, trainer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as lightning
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from dgreid.callbacks import RowsOfOneStep, StepTimes, TrainingProgress, UnfinishedEpoch
from dgreid.data.domains.base import Domain
from dgreid.data.domains.one_camera import OneCamera, cameras_of
from dgreid.data.modules import DomainDataModule, MultiDomainDataModule
from dgreid.data.transforms import TrainTransform
from dgreid.errors import InputError
from dgreid.evaluation.scoring import Scoring
from dgreid.module import ReIDModule
from dgreid.run.checkpoints import CHECKPOINTS
from dgreid.run.guards import check_inner_steps, check_own_gradients, known_domains, names
from dgreid.run.processes import process_count
from dgreid.run.saving import KeepLast, checkpoint_interval
from dgreid.run.warm_start import start_from
from dgreid.strategies.base import TrainingStrategy
from dgreid.types import DomainInfo


def build_domains(config: DictConfig, key: str) -> dict[str, Domain]:
    """The domains that ``sources`` or ``target`` name, without I/O.

    Raises:
        InputError: a name that is not in the catalogue, differs from the domain's own, or cannot name a torch module.
    """
    wanted = names(config[key], key)
    known_domains(wanted, config.domain, key)
    domains = {name: cast(Domain, instantiate(config.domain[name], _convert_="all")) for name in wanted}
    for name, domain in domains.items():
        if domain.name != name:
            raise InputError(
                f"{key}={name}: its file in conf/domain says `name: {domain.name}`; "
                "the file's name, the key in it and `name` must agree"
            )
        if set("./\\\0") & set(name) or hasattr(nn.ModuleDict(), name):
            raise InputError(
                f"{key}={name}: torch cannot store state under this name, or no file can be called so; choose another "
                "for the domain"
            )
    return domains


def build_data(
    config: DictConfig, sources: Mapping[str, Domain], targets: Mapping[str, Domain]
) -> MultiDomainDataModule:
    """A data module per source, or per camera of the sources, and per target, joined."""
    options = cast(dict[str, Any], OmegaConf.to_container(config.data, resolve=True))
    transform = TrainTransform(**options.pop("transform"))

    def module(domain: Domain, holdout: float = 0.0) -> DomainDataModule:
        return DomainDataModule(
            domain=domain,
            use=config.use,
            transform=transform,
            seed=config.seed,
            holdout=holdout,
            same_camera=config.metric.same_camera,
            **options,
        )

    wholes = {name: module(domain, float(config.holdout)) for name, domain in sources.items()}
    parts = None if config.get("split_by") is None else [camera for whole in wholes.values() for camera in split(whole)]
    return MultiDomainDataModule(
        sources=wholes if parts is None else {camera.name: module(camera) for camera in parts},
        targets={name: module(domain) for name, domain in targets.items()},
        workers=config.data.workers,
        wholes=wholes,
    )


def split(whole: DomainDataModule) -> list[OneCamera]:
    """The cameras of a source, each with its images of the people who are not held out.

    Raises:
        InputError: the cameras cannot be trained on by themselves.
    """
    return cameras_of(whole.domain, whole.training_records(), whole.identities_per_batch)


def build_net(config: DictConfig) -> nn.Module:
    """The net with its first weights, random ones drawn from the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        net = cast(nn.Module, instantiate(config.net, _convert_="all"))
    if config.init is not None:
        start_from(net, Path(config.init))
    # Convolutions run faster on maps whose channels lie side by side; images need no change, weights decide.
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return net


def build_module(config: DictConfig, net: nn.Module, domains: Sequence[DomainInfo]) -> ReIDModule:
    """The Lightning module; the strategy's own parameters are drawn from the seed too."""
    strategy = cast(TrainingStrategy, instantiate(config.strategy, _convert_="all"))
    if strategy.computes_gradients:
        check_own_gradients(config)
    if strategy.takes_inner_steps:
        check_inner_steps(config)
    optimizer = instantiate(config.optim, _convert_="all")
    schedule = instantiate(config.schedule, _convert_="all")
    with torch.random.fork_rng():
        torch.manual_seed(config.seed + 1)
        module = ReIDModule(
            net,
            strategy,
            domains,
            optimizer,
            schedule,
            seed=config.seed,
            batch_statistics=config.batch_statistics,
            on_nonfinite=config.on_nonfinite,
        )
    try:
        module.configure_optimizers()  # wrong values show before anything is trained
    except (TypeError, ValueError) as error:
        values = [f"{key}={value}" for group in (config.optim, config.schedule) for key, value in group.items()]
        typed = ", ".join(value for value in values if not value.startswith("_"))
        raise InputError(
            f"optim and schedule do not take {typed}: {error}; see conf/optim and conf/schedule for what they do"
        ) from error
    return module


def build_scoring(config: DictConfig) -> Scoring:
    """How embeddings are compared, and which figures are taken."""
    return cast(Scoring, instantiate(config.metric, _convert_="all"))


def set_precision(config: DictConfig) -> None:
    """Process-wide precision switches; both are recorded in the result."""
    torch.set_float32_matmul_precision(config.matmul_precision)
    cudnn: Any = torch.backends.cudnn  # has parts that torch does not declare
    cudnn.conv.fp32_precision = "tf32" if config.tf32 else "ieee"


def trainer_options(config: DictConfig) -> dict[str, Any]:
    """What each trainer of this configuration takes: devices, processes, precision, length of an epoch."""
    options: dict[str, Any] = dict(config.trainer)
    if process_count(config) > 1 and "strategy" not in options:
        options["strategy"] = ddp_strategy()
    return {
        **options,
        "limit_train_batches": config.steps_per_epoch,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }


def ddp_strategy() -> DDPStrategy:
    """Lightning's DDP: a parameter may have no gradient in a step, and buffers need nobody's care.

    They are equal already, or follow the first process's after a step.
    """
    known = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # its older name
    options: dict[str, Any] = {name: False}
    return DDPStrategy(find_unused_parameters=True, **options)


def build_loggers(config: DictConfig, folder: Path) -> list[Logger]:
    """Where curves and numbers go; their files lie in the folder."""
    return cast(list[Logger], instantiate(config.logger, folder=folder))


def build_trainer(config: DictConfig, folder: Path, targets: Sequence[str]) -> lightning.Trainer:
    """The trainer of one run."""
    trainer = instantiate(
        trainer_options(config),
        max_epochs=config.epochs,
        check_val_every_n_epoch=config.evaluate_every or config.epochs + 1,
        logger=build_loggers(config, folder),
        callbacks=callbacks(config, folder, targets),
        default_root_dir=str(folder),
    )
    return cast(lightning.Trainer, trainer)


def callbacks(config: DictConfig, folder: Path, targets: Sequence[str]) -> list[Callback]:
    """Progress, step times, and a checkpoint per selection rule that has data."""
    common: dict[str, Any] = {
        "dirpath": str(folder / CHECKPOINTS), "enable_version_counter": False, "auto_insert_metric_name": False,
    }  # fmt: skip
    monitored = {"source": "source/mAP"} if config.holdout > 0 and config.evaluate_every else {}
    if config.evaluate_every:
        monitored.update({f"oracle_{target}": f"target/{target}/mAP" for target in targets})
    best = [
        ModelCheckpoint(filename=rule, monitor=metric, mode="max", save_top_k=1, **common)
        for rule, metric in monitored.items()
    ]
    last = KeepLast(folder, checkpoint_interval(config.checkpoint_every))  # after the best ones, whose state it holds
    return [RowsOfOneStep(), StepTimes(), TrainingProgress(), UnfinishedEpoch(), *best, last]
