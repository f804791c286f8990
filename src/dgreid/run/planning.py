"""``plan=true``: three real training steps, then what the whole run needs and what would lower it."""

from __future__ import annotations

import math
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import pytorch_lightning as lightning
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from dgreid.data.domains.base import Domain
from dgreid.data.modules import MultiDomainDataModule
from dgreid.distributed import leave
from dgreid.errors import InputError
from dgreid.module import ReIDModule
from dgreid.run.build import build_data, build_module, build_net, set_precision, trainer_options
from dgreid.run.savings import savings, this_machine
from dgreid.run.step_meter import StepMeter

STEPS = 3
LABELS = 18  # columns of the terminal
Row = tuple[str, str]


def wants_plan(config: DictConfig) -> bool:
    """Whether a plan is asked for.

    Raises:
        InputError: ``plan`` is neither true nor false, or ``resume`` is set too.
    """
    if not isinstance(config.plan, bool):
        raise InputError(f"plan={config.plan}: true or false")
    if config.plan and config.resume:
        raise InputError(
            "plan=true with resume=true: a plan starts from step 0 and continues no run; leave one of the two out"
        )
    return config.plan


class Measured(NamedTuple):
    """What three steps took.

    Attributes:
        data: that was trained on.
        module: net and strategy.
        trainer: that trained.
        meter: seconds and memory.
    """

    data: MultiDomainDataModule
    module: ReIDModule
    trainer: lightning.Trainer
    meter: StepMeter


def plan(
    config: DictConfig, sources: Mapping[str, Domain], targets: Mapping[str, Domain], followed: Mapping[str, Any]
) -> None:
    """Builds what training builds, trains three steps, and prints what they took. No run folder is read or written.

    Args:
        config: the run's.
        sources: the domains to train on, by name.
        targets: the domains to be evaluated on, by name.
        followed: ``protocol`` and ``variant`` as the run's result would name them.

    Raises:
        InputError: what training would refuse, or too little memory for a step.
    """
    data, module, trainer, meter = measure(config, sources, targets)
    if trainer.is_global_zero:
        advice = savings(config, module.strategy, this_machine(meter.device, trainer.world_size), meter.waiting)
        rows = [
            *_followed(followed),
            *_what(config, module, data),
            *_costs(config, meter),
            _not_in_the_hours(config, data, meter),
        ]
        print_plan(rows, list(advice))
    leave()


def measure(config: DictConfig, sources: Mapping[str, Domain], targets: Mapping[str, Domain]) -> Measured:
    """The three steps of :func:`plan`, which raises the same."""
    set_precision(config)
    data = build_data(config, sources, targets)
    data.setup("fit")
    module = build_module(config, build_net(config), data.infos())
    trainer = build_planning_trainer(config)
    meter = StepMeter(trainer.strategy.root_device, STEPS)
    assembled: Any = trainer  # what its parts set on it is not declared
    assembled.profiler = meter
    if trainer.is_global_zero:
        print(f"plan: {STEPS} training steps on {device_name(meter.device)}, nothing is kept", file=sys.stderr)
    try:
        trainer.fit(module, datamodule=data)
    except torch.OutOfMemoryError as error:
        raise InputError(_too_large(config, module, trainer, meter)) from error
    return Measured(data, module, trainer, meter)


def build_planning_trainer(config: DictConfig) -> lightning.Trainer:
    """The trainer of the run, for three steps, without loggers, checkpoints and evaluations."""
    trainer = instantiate(
        trainer_options(config),
        max_epochs=-1,
        max_steps=STEPS,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
    )
    return cast(lightning.Trainer, trainer)


def device_name(device: torch.device) -> str:
    """What it is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


def total_steps(config: DictConfig) -> int:
    """Steps of the whole run."""
    steps: int = config.epochs * config.steps_per_epoch
    longest = config.trainer.get("max_steps", -1)
    return steps if longest == -1 else min(steps, longest)


def print_plan(rows: Sequence[Row], advice: Sequence[str]) -> None:
    """A line for each row, label first, then one for each piece of advice."""
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    for label, text in rows:
        print(_wrapped(text, width, f"{label:<{LABELS}}"))
    if advice:
        print("\nwhat would lower memory or time:")
    for sentence in advice:
        print(_wrapped(sentence, width, "  - "))


def three_digits(number: float) -> str:
    """A positive number with three digits or more: 0.0123, 1.23, 12.3, 1,234."""
    decimals = max(0, 2 - math.floor(math.log10(number)))
    return f"{number:,.{decimals}f}"


def _followed(followed: Mapping[str, Any]) -> list[Row]:
    deviating = "; ".join(followed["variant"] or ())
    rows = [("protocol", followed["protocol"] or ""), ("variant", deviating)]
    return [(label, text) for label, text in rows if text]


def _what(config: DictConfig, module: ReIDModule, data: MultiDomainDataModule) -> list[Row]:
    domains, people, each = len(data.sources), config.data.identities_per_batch, config.data.images_per_identity
    learned = {"net": module.net, type(module.strategy).__name__: module.strategy}
    counts = {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in learned.items()}
    return [
        ("method", f"{type(module.strategy).__name__} in {config.trainer.precision}"),
        ("domains", ", ".join(data.sources)),
        ("images a step", f"{domains} x {people} identities x {each} images = {domains * people * each}"),
        ("parameters", " + ".join(f"{count:,} ({name})" for name, count in counts.items() if count)),
    ]


def _costs(config: DictConfig, meter: StepMeter) -> list[Row]:
    steps = total_steps(config)
    times = (
        f"{three_digits(meter.seconds)}, mean of steps 2 and {STEPS}; step 1 warmed up in {three_digits(meter.warm_up)}"
    )
    whole = config.epochs * config.steps_per_epoch
    length = f"{config.epochs} x {config.steps_per_epoch} steps (epochs x steps_per_epoch)"
    cut = "" if steps == whole else f", cut to {steps:,} by trainer.max_steps"
    return [
        ("peak memory", meter.memory.describe()),
        ("seconds a step", f"{times}; {100 * meter.waiting:.0f} % waits for data"),
        ("whole run", f"{three_digits(meter.seconds * steps / 3600)} hours for {length}{cut}"),
    ]


def _not_in_the_hours(config: DictConfig, data: MultiDomainDataModule, meter: StepMeter) -> Row:
    tested = sum(len(images.records) for images in data.target_sets().values())
    held_out = sum(len(images.records) for images in data.holdout_sets().values())
    evaluations = f"evaluation of {tested:,} images at the end"
    if config.evaluate_every:
        count = total_steps(config) // (config.steps_per_epoch * config.evaluate_every)
        evaluations = (
            f"{count} x evaluation of {tested + held_out:,} images (evaluate_every={config.evaluate_every}), and of "
            f"{tested:,} for each selection rule at the end"
        )
    return "not in the hours", f"{meter.preparation:.1f} seconds before step 1; {evaluations}, not measured"


def _too_large(config: DictConfig, module: ReIDModule, trainer: lightning.Trainer, meter: StepMeter) -> str:
    when = f"in step {len(meter.arrived)}" if meter.arrived else "before step 1"
    advice = savings(config, module.strategy, this_machine(meter.device, trainer.world_size), waiting=0.0)
    lines = "".join(f"\n  - {sentence}" for sentence in advice)
    return f"out of memory {when}: {meter.memory.describe()}. What would lower memory or time:{lines}"


def _wrapped(text: str, width: int, label: str) -> str:
    return textwrap.fill(
        text, width, initial_indent=label, subsequent_indent=" " * len(label), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
