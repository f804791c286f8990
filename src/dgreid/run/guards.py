"""What is refused before anything is read or trained, each with the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from omegaconf import DictConfig, ListConfig, OmegaConf

from dgreid.data.domains.base import Domain
from dgreid.errors import InputError, check_one_of, nearest
from dgreid.module import BatchStatistics
from dgreid.nonfinite import OnNonFinite
from dgreid.run.compose import conf_folder
from dgreid.run.processes import check_processes
from dgreid.run.saving import checkpoint_interval
from dgreid.run.values import check_values

RULES = ("last", "source", "oracle")
USES = ("train", "train+test")
SPLITS = ("camera",)
MATMUL_PRECISIONS = ("highest", "high", "medium")
STYLES = ("loss_style", "memory_style")
EXAMPLES = {"checkpoint": "last", "run": "runs/demo/.../seed0"}
SCALED = ("16-mixed", "16")  # losses are scaled, so that gradients in float16 do not vanish
ENOUGH_DIGITS = ("32-true", "32", "64-true", "64", "bf16-mixed")  # for inner steps
MOST_WORKERS = 1_024  # more is a mistake that would exhaust the machine
LARGEST_SEED = 2**62  # torch takes 64 bits


def names(value: object, key: str) -> list[str]:
    """One name or a list of names as a list without repetitions.

    Raises:
        InputError: nothing is named, or a name twice.
    """
    listed = [str(name) for name in value] if isinstance(value, list | tuple | ListConfig) else [str(value)]
    if value is None or not listed:
        raise InputError(f"{key} is empty: name at least one, e.g. {key}={EXAMPLES.get(key, 'market1501')}")
    twice = sorted({name for name in listed if listed.count(name) > 1})
    if twice:
        raise InputError(f"{key} names {', '.join(twice)} twice: each may be there once")
    return listed


def check_training(config: DictConfig) -> None:
    """Values that need no data to be judged.

    Raises:
        InputError: the first value that breaks its rule.
    """
    check_values(config)
    names(config.sources, "sources")
    names(config.target, "target")
    check_one_of("use", config.use, USES)
    if config.get("split_by") is not None:
        check_one_of("split_by", config.split_by, SPLITS)
    check_one_of("selection", config.selection, RULES)
    check_one_of("matmul_precision", config.matmul_precision, MATMUL_PRECISIONS)
    _positive_integer(config.epochs, "epochs")
    _positive_integer(config.steps_per_epoch, "steps_per_epoch")
    if config.evaluate_every is not None:
        _positive_integer(config.evaluate_every, "evaluate_every")
    if not isinstance(config.holdout, float | int) or not 0 <= config.holdout < 1:
        raise InputError(f"holdout={config.holdout}: a share of each source's identities, at least 0 and below 1")
    if config.selection == "source" and config.holdout == 0:
        raise InputError(
            "selection=source needs held-out source identities: holdout=0.1 keeps a tenth of each source's for it"
        )
    if config.selection == "oracle" and config.evaluate_every is None:
        raise InputError("selection=oracle needs evaluations on the target during training: evaluate_every=1 (epochs)")
    if config.trainer.get("accumulate_grad_batches", 1) != 1:
        raise InputError(
            f"trainer.accumulate_grad_batches={config.trainer.accumulate_grad_batches}: only 1 is possible, because a "
            "strategy's part after the step (memory updates) would see the last of the batches alone. "
            "Use a smaller data.identities_per_batch or trainer.precision=bf16-mixed to save memory"
        )
    clip = config.trainer.get("gradient_clip_val")
    if clip is not None and not (isinstance(clip, int | float) and clip > 0):
        raise InputError(f"trainer.gradient_clip_val={clip}: a number above 0, or null for no clipping")
    check_one_of("on_nonfinite", config.on_nonfinite, get_args(OnNonFinite))
    max_steps = config.trainer.get("max_steps", -1)
    if not isinstance(max_steps, int) or (max_steps < 1 and max_steps != -1):
        raise InputError(f"trainer.max_steps={max_steps}: a whole number of at least 1, or -1 for all epochs")
    check_one_of("batch_statistics", config.batch_statistics, get_args(BatchStatistics))
    checkpoint_interval(config.checkpoint_every)
    check_workers(config.data.workers, "data.workers")
    check_styles(config)
    check_processes(config)
    if not isinstance(config.seed, int) or abs(config.seed) > LARGEST_SEED:
        raise InputError(f"seed={config.seed}: a whole number of at most {LARGEST_SEED:,}, or minus that")


def check_styles(config: DictConfig) -> None:
    """A style needs a strategy that takes it up.

    Raises:
        InputError: one is set that the strategy's configuration does not name.
    """
    for key in STYLES:
        if config.get(key) is None or key in config.strategy:
            continue
        style, strategy = (str(built["_target_"]).rpartition(".")[2] for built in (config[key], config.strategy))
        takers = [p.stem for p in sorted((conf_folder() / "strategy").glob("*.yaml")) if key in OmegaConf.load(p)]
        raise InputError(
            f"{key} is {style}, but the strategy {strategy} has no {key}, so it would be without effect: take "
            f"{key}=none, or a strategy that has one ({', '.join(takers)})"
        )


def check_own_gradients(config: DictConfig) -> None:
    """What a strategy that computes gradients within its loss cannot be trained with.

    Raises:
        InputError: gradients in float16, which loss scaling would come too late for.
    """
    precision = str(config.trainer.get("precision", "32-true"))
    if precision in SCALED:
        joint = ", or strategy.domain_graphs=joint" if "domain_graphs" in config.get("strategy", {}) else ""
        raise InputError(
            f"trainer.precision={precision} with gradients that the strategy computes itself: in float16 they vanish, "
            f"since loss scaling comes later; take trainer.precision=bf16-mixed or 32-true{joint}"
        )


def check_inner_steps(config: DictConfig) -> None:
    """What a strategy that moves weights within its loss cannot be trained with.

    Raises:
        InputError: weights of 16 bits.
    """
    precision = str(config.trainer.get("precision", "32-true"))
    if precision not in ENOUGH_DIGITS:
        raise InputError(
            f"trainer.precision={precision} with inner steps: weights of 16 bits do not notice them; take "
            "trainer.precision=bf16-mixed or 32-true"
        )


def check_leaks(
    sources: Mapping[str, Domain], targets: Mapping[str, Domain], use: str, allow_seen_target: bool
) -> set[str]:
    """The guard against testing on people that were trained on.

    Args:
        sources: the domains trained on, by name.
        targets: the domains tested on, by name.
        use: which subsets of the sources are trained on.
        allow_seen_target: lets a target be the test set of a source of the same name.

    Returns:
        The names of targets whose domain was seen in training.

    Raises:
        InputError: a target shows people, or a domain, that training sees.
    """
    seen = {name for name in targets if name in sources}
    for name, domain in targets.items():
        relatives = [other for other, source in sources.items() if source.family == domain.family and other != name]
        if relatives:
            raise InputError(
                f"target={name} shows the same people as source {relatives[0]} (both are {domain.family}): "
                f"results on it would be leaked. Take {relatives[0]} out of sources, or choose another target"
            )
    if seen and not allow_seen_target:
        name = sorted(seen)[0]
        raise InputError(
            f"target={name} is among the sources: it would not be an unseen domain. Take it out of sources, or, to "
            "test on other people of the same domain, add allow_seen_target=true (with use=train); every result then "
            "says so"
        )
    if seen and use != "train":
        raise InputError(
            f"allow_seen_target=true with use={use}: the test images of {sorted(seen)[0]} would be trained on; "
            "set use=train"
        )
    return seen


def check_workers(workers: object, key: str) -> None:
    """A number of processes that load.

    Raises:
        InputError: it is none.
    """
    if type(workers) is not int or not 0 <= workers <= MOST_WORKERS:
        raise InputError(
            f"{key}={workers}: a whole number, not negative and at most {MOST_WORKERS:,}; 0 loads in the main process"
        )


def check_start(init: str | None) -> None:
    """The run or checkpoint to start from must be there.

    Raises:
        InputError: it is not.
    """
    if init is not None and not Path(init).exists():
        raise InputError(f"init={init}: no such run folder or checkpoint; give the folder of a run, or a .ckpt file")


def _positive_integer(value: object, key: str) -> None:
    if type(value) is not int or value < 1:  # true is an int, too
        raise InputError(f"{key}={value}: a whole number of at least 1")


def known_domains(wanted: Sequence[str], catalogue: Mapping[str, object], key: str) -> None:
    """Every name must be in the catalogue.

    Raises:
        InputError: a name that is not, with the nearest one that is.
    """
    for name in wanted:
        if name not in catalogue:
            raise InputError(
                f"{key}={name}: no such domain; {nearest(name, map(str, catalogue))}. "
                "One's own data: a file in conf/domain, see docs/datasets.md"
            )
