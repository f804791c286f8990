"""A file of weights without a run: which net it is of, what its release is, and what is not known of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from dgreid.errors import InputError
from dgreid.module import ReIDModule
from dgreid.nets import releases
from dgreid.nets.exported import exported_settings
from dgreid.nets.releases import Release
from dgreid.nets.weights import file_sha256, read_state_dict
from dgreid.nets.weights_report import WeightsReport, load_matching
from dgreid.run.build import build_net
from dgreid.run.guards import names
from dgreid.run.load import NAMED_CHECKPOINTS
from dgreid.strategies.base import TrainingStrategy
from dgreid.types import Clock, ReIDBatch, StepResult

EVALUATIONS = "evaluations"
UNKNOWN_TRAINING = "this file does not say what it was trained on, so a target seen in training cannot be noticed"
OF_A_RUN_ALONE = ("net.weights", "net.neck_bias", "net.load_bn_statistics", "allow_seen_target", "trust")
CROPS = ("data", "data.height", "data.width")
NAMES_SHOWN = 4


class NoTraining(TrainingStrategy):
    """Stands where a strategy is needed to evaluate a net alone."""

    def loss(self, net: nn.Module, batches: Mapping[str, ReIDBatch], clock: Clock) -> StepResult:
        """Refuses."""
        raise InputError("these weights were loaded for evaluation; train with train.py init=<file>")


@dataclass(frozen=True)
class ReleasedNet:
    """A net with the weights of a file.

    Attributes:
        module: for evaluation alone.
        release: what the file looks like.
        report: what became of each tensor.
        stem_relu: whether the net has a ReLU in the stem; None if its configuration leaves no choice.
        line: all of this for the terminal.
    """

    module: ReIDModule
    release: Release
    report: WeightsReport
    stem_relu: bool | None
    line: str


def check_request(config: DictConfig, typed: Collection[str]) -> None:
    """Either a run, or a file of weights with a net and a target: refuses what is neither, both or without effect.

    Args:
        config: the evaluation's.
        typed: keys of what was typed.

    Raises:
        InputError: naming what to type instead.
    """
    net, of_the_net = config.get("net"), sorted(key for key in typed if key.partition(".")[0] == "net")
    of_the_data = sorted(key for key in typed if key.partition(".")[0] == "data")
    if config.run is not None:
        if wrong := [*of_the_net, *of_the_data]:
            raise InputError(
                f"run={config.run} with {', '.join(wrong)}: a run has its own net and preprocessing; leave these out, "
                "or, for a file of weights without its run, leave run out"
            )
        return
    if net is None:
        raise InputError(
            "run is empty: give run=<folder of a run>, e.g. run=runs/demo/.../seed0, or, for a file of weights, "
            "checkpoint=<file> net=resnet50 target=market1501"
        )
    checkpoints = names(config.checkpoint, "checkpoint")
    if len(checkpoints) > 1:
        raise InputError(f"checkpoint names {len(checkpoints)} files: one at a time, or several by -m checkpoint=a,b")
    if checkpoints[0] in NAMED_CHECKPOINTS:
        raise InputError(
            f"checkpoint={checkpoints[0]} is a checkpoint of a run, and no run is given: with net= give "
            "checkpoint=<file of weights>, or give run=<folder> instead of net="
        )
    if not Path(checkpoints[0]).is_file():
        raise InputError(f"checkpoint={checkpoints[0]}: no such file ({Path(checkpoints[0]).absolute()})")
    if config.target is None:
        raise InputError("target is empty: a file of weights names none; give one, e.g. target=market1501")
    without_effect = [*(key for key in OF_A_RUN_ALONE if key in typed), *(k for k in of_the_data if k not in CROPS)]
    if without_effect:
        raise InputError(
            f"{', '.join(without_effect)}: without effect on the evaluation of a file; leave it out "
            f"(of data, {', '.join(CROPS)} have one; loading is set by workers= and batch_size=)"
        )


def said_by_the_file(path: Path, config: DictConfig, typed: Collection[str]) -> dict[str, bool | int]:
    """What an exported file says of its net and its images, where nothing was typed, by the keys one would type."""
    found = exported_settings(path, str(config.net.get("_target_")))
    groups = {"net": config.net, "data": {} if "data" in typed else config.data}
    return {
        key: value
        for key, value in found.items()
        if key not in typed and key.partition(".")[2] in groups[key.partition(".")[0]]
    }


def as_for_a_file(config: DictConfig, said: Mapping[str, bool | int] | None = None) -> DictConfig:
    """The evaluation's configuration with what a run would have said; weights are random until the file's come.

    Args:
        config: as it was typed.
        said: as :func:`said_by_the_file` gives it.
    """
    config = copy.deepcopy(config)
    OmegaConf.set_struct(config, False)
    for key, value in (said or {}).items():
        OmegaConf.update(config, key, value)
    config.data.workers, config.data.cache = config.workers, "none"
    if config.batch_size is not None:
        config.data.test_batch_size = config.batch_size
    if "weights" in config.net:
        config.net.weights = "random"
    config.use, config.seed, config.holdout, config.init = "train", 0, 0.0, None
    config.matmul_precision, config.tf32 = "highest", False
    return config


def load_released(path: Path, config: DictConfig, typed: Collection[str]) -> ReleasedNet:
    """Builds the chosen net and fills it with a file's tensors; code in the file is never run.

    Args:
        path: a file of a release, of this project, or of a net with names that are known here.
        config: as :func:`as_for_a_file` gives it.
        typed: keys of what was typed or said by the file itself; the stem's ReLU is what the file looks like unless
            ``net.stem_relu`` is there.

    Raises:
        InputError: the file cannot be read, is another net's, lacks tensors, or does not tell whether its net had a
            ReLU in the stem.
    """
    config = copy.deepcopy(config)
    tensors = read_state_dict(path)
    release = releases.recognise(tensors)
    has_choice, is_typed = "stem_relu" in config.net, "net.stem_relu" in typed
    if has_choice and not is_typed and release.stem_relu is not None:
        config.net.stem_relu = release.stem_relu
    net = build_net(config)
    named = _file_names(path, tensors)
    report = load_matching(
        net,
        {own: tensors[name] for own, name in named.items()},
        source=str(path),
        # Evaluation does not use the counts, and files written before batches were counted have none.
        keep={name for name in net.state_dict() if name.endswith("num_batches_tracked") and name not in named},
        file=str(path),
        sha256=file_sha256(path),
    )
    _require_all(report, releases.fitting_net({own: tensors[name] for own, name in named.items()}), config.net)
    if has_choice and not is_typed and release.stem_relu is None:
        raise InputError(
            f"checkpoint={path} looks like {release.name}, which does not tell whether its net had a ReLU in the stem: "
            "say it, net.stem_relu=true or net.stem_relu=false (the M3L release trained without, IL's with and without)"
        )
    stem_relu = bool(config.net.stem_relu) if has_choice else None
    report = replace(report, notes=tuple(_notes(path, release, stem_relu, tensors)))
    module = ReIDModule(net, NoTraining(), []).eval()
    return ReleasedNet(module, release, report, stem_relu, _line(report, release, stem_relu, named))


def output_folder(config: DictConfig, report: WeightsReport, targets: Sequence[str], suffix: str) -> Path:
    """``<runs>/evaluations/<file>-<its sha256>/<targets>``: another file of the same name has another folder."""
    stem = re.sub(r"[^\w+-]+", ".", Path(Path(report.file).name.removesuffix(".tar")).stem).strip(".") or "weights"
    folder = Path(config.runs) / EVALUATIONS / f"{stem[:80]}-{report.sha256[:8]}"
    return folder / f"{'+'.join(targets)}{suffix}"


def file_facts(loaded: ReleasedNet, config: DictConfig) -> dict[str, Any]:
    """What ``result.json`` says of the weights; what only a run knows is null."""
    report, module = loaded.report, loaded.module
    unknown = dict.fromkeys(("run", "fingerprint", "sources", "seed", "strategy", "protocol", "variant", "use"))
    return {
        **unknown,
        "training": UNKNOWN_TRAINING,
        "weights": {
            "source": report.source, "file": str(Path(report.file).absolute()), "sha256": report.sha256,
            "looks_like": loaded.release.name, "stem_relu": loaded.stem_relu,
            "matched": len(report.matched), "missing": list(report.missing), "unexpected": list(report.unexpected),
            "report": report.details(),
        },
        "preprocessing": {
            "height": config.data.height, "width": config.data.width, "interpolation": "bicubic",
            "mean": list(module.mean), "std": list(module.std), "flip_average": config.metric.flip,
        },
        "precision": {
            "trainer": config.precision, "matmul": config.matmul_precision, "tf32": config.tf32,
        },
    }  # fmt: skip


def _file_names(path: Path, tensors: Collection[str]) -> dict[str, str]:
    try:
        return releases.file_names(tensors)
    except InputError as error:
        raise InputError(f"checkpoint={path}: {error}") from error


def _require_all(report: WeightsReport, fitting: str | None, net: DictConfig) -> None:
    foreign = [name for name in report.unexpected if releases.is_trunk(name)]
    groups = {"missing": report.missing, "of another shape": report.mismatched, "not in this net": foreign}
    wrong = [f"{len(found)} {what} ({_some(found)})" for what, found in groups.items() if found]
    if not wrong:
        return
    chosen = str(net.get("_target_", "")).rpartition(".")[2]
    typed_now = {f"net={chosen}", f"net={chosen} net.width={net.get('width')}"}
    if fitting is not None and fitting not in typed_now:
        way = f"its backbone is another net's: choose {fitting}"
    elif report.matched and all(name.startswith(releases.NECK) for name in (*report.missing, *report.mismatched)):
        way = "an evaluation needs the neck, which files of ImageNet weights do not have: train with net.weights=<file>"
    else:
        way = "give a whole file of this net, or choose the net it was made for"
    raise InputError(f"checkpoint={report.file} does not fit net={chosen}: of the tensors {', '.join(wrong)}; {way}")


def _notes(path: Path, release: Release, stem_relu: bool | None, tensors: Collection[str]) -> list[str]:
    notes = [f"looks like {release.name}", UNKNOWN_TRAINING]
    if release.note:
        notes.append(release.note)
    if release is releases.OWN_RUN:
        notes.append("scored is its net alone; with run=<folder> the strategy's own inference net is used")
    if stem_relu is not None and release.stem_relu not in (None, stem_relu):
        notes.append(f"net.stem_relu={str(stem_relu).lower()} was typed; nets of this release are the opposite")
    if release.extras.startswith("feat_bn") and not any(release.extras in name for name in tensors):
        notes.append(f"without the {release.extras}* that files of this release have")
    if target := releases.target_by_file_name(path.name):
        notes.append(f"by its name made to be tested on {target!r}; other targets may be among what it was trained on")
    return notes


def _line(report: WeightsReport, release: Release, stem_relu: bool | None, named: Mapping[str, str]) -> str:
    """What the file looks like and how it fits, then the notes but the first, which says the former too."""
    relu = {True: "a ReLU in the stem; ", False: "no ReLU in the stem; ", None: ""}[stem_relu]
    unexpected = [releases.bare_name(named[name]) for name in report.unexpected]
    extras = [name for name in unexpected if release.extras and name.startswith(release.extras)]
    shown = [f"{release.extras}*"] * bool(extras) + [name for name in unexpected if name not in extras]
    counts = f"{len(report.matched)} matched, {len(report.missing)} missing, {len(unexpected)} unexpected"
    first = f"{report.file} (sha256 {report.sha256[:8]}) looks like {release.name}: {relu}{counts}"
    return "\n  ".join([first + (f" ({_some(shown)})" if shown else ""), *report.notes[1:]])


def _some(found: Sequence[str]) -> str:
    """The first names of a list that may be long."""
    rest = len(found) - NAMES_SHOWN
    return ", ".join(found[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
