"""The cells of the synthetic benchmark: which run each one is, where it lies, and how far it has come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from dgreid.errors import InputError
from dgreid.run.compose import conf_folder, register_catalogue
from dgreid.run.folder import CONFIG, RESULT, fingerprint, flatten, of_the_machine
from dgreid.run.training import resolve
from dgreid.synthetic.draws import VERSION

TARGETS = ("plaza", "station", "campus", "night")
State = Literal["finished", "begun", "missing"]


class Method(NamedTuple):
    """A row of the table.

    Attributes:
        overrides: what is typed for it.
        cost: rough seconds a step in units of FB's, only for the estimate of the time left.
    """

    overrides: tuple[str, ...]
    cost: float


# M3L moves the bias of the neck, as experiment=m3l and m3l_released have it; all others freeze it. What else these
# two experiments set is equal for all methods here (size, schedule, last step instead of oracle selection) or means
# nothing for net=small from random weights (its stem has its ReLU, there are no running statistics to load).
M3L_NET = "net.neck_bias=trainable"
METHODS = {
    "softmax_triplet": Method(("strategy=softmax_triplet",), 1.0),
    "fb": Method(("strategy=fb",), 1.0),
    "fbf": Method(("strategy=fbf",), 1.3),
    "il": Method(("strategy=il",), 1.4),
    "fb_mixstyle": Method(("strategy=fb", "loss_style=mixstyle"), 1.1),
    "m3l": Method(("strategy=m3l", M3L_NET), 3.0),  # outer_gradient=full
    "m3l_released": Method(("strategy=m3l_released", M3L_NET), 3.0),
}


class Cell(NamedTuple):
    """One run.

    Attributes:
        method: of ``METHODS``.
        target: the unseen one of ``TARGETS``; the others are trained on.
        seed: of the run.
        root: where all cells of one version of the drawings lie.
        extra: overrides of one's own.
    """

    method: str
    target: str
    seed: int
    root: Path
    extra: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} to_{self.target} seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Of the run."""
        return self.root / self.method / f"to_{self.target}" / f"seed{self.seed}"

    @property
    def log(self) -> Path:
        """What the run printed; outside its folder, which must be empty before the run."""
        return self.root / "logs" / f"{self.method}_to_{self.target}_seed{self.seed}.log"

    @property
    def sources(self) -> tuple[str, ...]:
        """Catalogue names of what is trained on."""
        return tuple(f"synthetic_{name}" for name in TARGETS if name != self.target)

    def training(self) -> list[str]:
        """Overrides of ``train.py``: of two values of a key the later one."""
        typed = [
            "experiment=benchmark", f"protocol=synthetic/to_{self.target}", *METHODS[self.method].overrides,
            f"seed={self.seed}", f'folder="{self.folder}"', "trainer.accelerator=cpu", *self.extra,
        ]  # fmt: skip
        return list({key(override): override for override in typed}.values())

    def seen_evaluation(self) -> list[str]:
        """Overrides of ``evaluate.py`` on other people of the sources."""
        places = [override for override in self.extra if key(override) in ("data_root", "synthetic.folder")]
        targets = ",".join(self.sources)
        return [f'run="{self.folder}"', f"target=[{targets}]", "allow_seen_target=true", "accelerator=cpu", *places]

    def state(self) -> State:
        """How far the run has come."""
        if (self.folder / RESULT).is_file():
            return "finished"
        return "begun" if (self.folder / CONFIG).is_file() else "missing"

    def configuration(self) -> dict[str, Any]:
        """What the run was begun with."""
        return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(self.folder / CONFIG)) or {})

    def result(self) -> dict[str, Any]:
        """The finished run's ``result.json``."""
        return cast(dict[str, Any], json.loads((self.folder / RESULT).read_text(encoding="utf-8")))

    def seen_result(self) -> dict[str, Any] | None:
        """The latest evaluation on all sources, by domain; None if there is none."""
        found = (self.folder / "evaluations").glob(f"*/{RESULT}")
        for file in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
            summary = json.loads(file.read_text(encoding="utf-8"))["summary"]
            if set(summary) == set(self.sources):
                return cast(dict[str, Any], summary)
        return None


def key(override: str) -> str:
    """Of ``key=value``."""
    return override.lstrip("+~").partition("=")[0]


def changes_results(overrides: Sequence[str]) -> bool:
    """Whether any of them says more than where or how a run is computed."""
    return not all(of_the_machine(key(override)) for override in overrides)


OF_A_CELL = {"experiment", "protocol", "sources", "target", "seed", "folder", "resume", "plan"} | {
    key(override) for method in METHODS.values() for override in method.overrides
}


def all_cells(
    methods: Sequence[str], targets: Sequence[str], seeds: Sequence[int], folder: Path, extra: Sequence[str]
) -> list[Cell]:
    """Cells in the order of running: an interrupted sweep has all methods on a target, and all targets of a seed.

    Cells of another version of the drawings never meet: each version has its folder.

    Raises:
        InputError: an override is no ``key=value``, or would make a cell another one than its name says.
    """
    for override in extra:
        if "=" not in override:
            raise InputError(f"{override} cannot be understood; what follows -- are values of train.py, key=value")
        if key(override) in OF_A_CELL:
            raise InputError(f"{override}: {key(override)} is what a cell is; choose by --methods, --targets, --seeds")
    root = folder / f"v{VERSION}"
    return [
        Cell(method, target, seed, root, tuple(extra)) for seed in seeds for target in targets for method in methods
    ]


def configurations(cells: Sequence[Cell]) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Each cell with the configuration that it would be run with now; an error of composition is the user's."""
    register_catalogue()
    composed: dict[tuple[str, str], DictConfig] = {}
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        for cell in cells:
            if cell[:2] not in composed:
                composed[cell[:2]] = compose("train", overrides=cell.training())
            composed[cell[:2]].seed = cell.seed
            yield cell, resolve(composed[cell[:2]])


def check_configurations(cells: Sequence[Cell]) -> None:
    """Refuses a folder that holds runs of another configuration, so that no table mixes two.

    Raises:
        InputError: a run in a cell's folder is not what the cell would be now; with what differs.
    """
    others = []
    for cell, now in configurations(cells):
        if cell.state() == "missing":
            continue
        before = cell.configuration()
        if fingerprint(before) != fingerprint(now):
            others.append((cell, differences(before, now)))
    if others:
        cell, changed = others[0]
        raise InputError(
            f"{len(others)} of {len(cells)} cells were run with another configuration, the first is {cell.folder} "
            f"({'; '.join(changed[:5])}). Choose another --folder, or delete these runs yourself"
        )


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What can change a result and is not equal, in words."""
    first, second = flatten(before), flatten(now)
    return [
        f"{name} was {first.get(name)} and is {second.get(name)}"
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name) and not of_the_machine(name)
    ]
