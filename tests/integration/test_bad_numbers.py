"""Every number of the configuration, with wrong types and sizes: refused in one line, or a run that makes sense."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf
from small_runs import composed, typed

from dgreid.run.compose import readable
from dgreid.run.training import train

GROUPS = ("data", "net", "optim", "schedule", "trainer", "strategy", "loss_style", "memory_style")
WRONG = (-1, 0, 1.5, 10**9, "text", None, [1], True, float("nan"), float("inf"))
# All others are refused. What is allowed here is tried together below, in a run.
LEAST = {
    "data.transform.flip": 0, "data.transform.pad": 0, "data.transform.random_erasing": 0,
    "data.transform.colour_jitter": 0, "data.workers": 0, "optim.lr": 0, "optim.weight_decay": 0, "schedule.gamma": 0,
    "schedule.warmup_epochs": 0, "schedule.warmup_factor": 0, "strategy.momentum": 0, "trainer.max_steps": -1,
    "trainer.log_every_n_steps": 0, "trainer.gradient_clip_val": None,
}  # fmt: skip
MOST = {
    "data.test_batch_size": 10**9, "schedule.warmup_epochs": 10**9, "trainer.max_steps": 10**9,
    "trainer.log_every_n_steps": 10**9, "trainer.gradient_clip_val": 10**9, "strategy.temperature": 10**9,
}  # fmt: skip
ALSO = {
    "optim.lr": (1.5,), "optim.weight_decay": (1.5,), "strategy.temperature": (1.5,),
    "strategy.margin": (0, 1.5, 10**9),
    "strategy.label_smoothing": (0,), "trainer.gradient_clip_val": (1.5,),
    "trainer.log_every_n_steps": (None,), "schedule.milestones": ([1],),
    "strategy.inner_learning_rate": (0, 1.5, 10**9), "strategy.inner_weight_decay": (0, 1.5, 10**9),
    "loss_style.strength": (0, 1.5, 10**9), "memory_style.strength": (0, 1.5, 10**9), "loss_style.probability": (0,),
    "memory_style.probability": (0,), "loss_style.concentration": (1.5, 10**9),
}  # fmt: skip
SAID_OTHERWISE = {"devices": "processes"}
METHODS = {
    "il": ["strategy=il", "loss_style=dsu", "schedule=il"],
    "fbf": ["strategy=fbf", "loss_style=mixstyle", "memory_style=swap"],
    "m3l": ["strategy=m3l", "schedule=m3l"],
    "softmax_triplet": ["strategy=softmax_triplet"],
}


def numbers(config: DictConfig) -> Iterator[str]:
    """Dotted keys of all numbers of the groups; of lists that of the list."""
    for group in GROUPS:
        node = config.get(group)
        flat = {} if node is None else _flat(node, f"{group}.")
        yield from (key for key, value in flat.items() if _is_number(value) or _is_number_list(value))


def _flat(node: DictConfig, prefix: str) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key in node:
        value = None if OmegaConf.is_interpolation(node, key) else node[key]
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, DictConfig) else {f"{prefix}{key}": value})
    return flat


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_number_list(value: object) -> bool:
    return OmegaConf.is_list(value) and all(map(_is_number, value))


def allowed(key: str) -> list[object]:
    return [*(table[key] for table in (LEAST, MOST) if key in table), *ALSO.get(key, ())]


@pytest.mark.parametrize("method", METHODS)
def test_wrong_numbers_are_refused_in_a_line(method, data_root, tmp_path):
    config = composed(typed(data_root, f"folder={tmp_path / 'run'}", *METHODS[method]))
    tried, accepted = 0, []
    for key in numbers(config):
        for value in WRONG:
            if value in allowed(key) and not isinstance(value, bool):
                continue
            wrong = copy.deepcopy(config)
            OmegaConf.update(wrong, key, value)
            tried += 1
            if problem := _not_refused(wrong, key.rpartition(".")[2]):
                accepted.append(f"{key}={value}: {problem}")
            if (tmp_path / "run").exists():
                accepted.append(f"{key}={value}: leaves a folder")
                shutil.rmtree(tmp_path / "run")
    assert not accepted, "\n".join(accepted)
    assert tried > 150


def _not_refused(config: DictConfig, name: str) -> str:
    """What is wrong with what is said of a wrong value, or nothing."""
    try:
        train(config)
    except Exception as error:
        text = readable(error)
        if text is None:
            return f"a stack: {error!r}"
        said = any(word in text for word in (name, SAID_OTHERWISE.get(name, name)))
        return "" if said and "\n" not in text else f"the message {text!r}"
    return "a run"


@pytest.mark.parametrize("values", [LEAST, MOST], ids=["least", "most"])
def test_the_least_and_the_most_that_is_allowed_make_a_run(values, data_root, tmp_path):
    config = composed(typed(data_root, f"folder={tmp_path / 'run'}", "epochs=1"))
    for key, value in values.items():
        OmegaConf.update(config, key, value)
    train(config)
    (row,) = json.loads((tmp_path / "run" / "result.json").read_text())["rows"]
    assert 0 < row["mAP"] <= 1
