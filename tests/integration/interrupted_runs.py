"""Runs that end before their time, and what has to be equal when they have gone on."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import torch

from dgreid.module import ReIDModule

TIMES = {"seconds_per_step", "data_wait"}
OF_THE_STATE = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "global_step", "epoch")


class BrokenOffError(Exception):
    """What a test raises in the middle of a step."""


def checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    """The content of a checkpoint of a run."""
    content: dict[str, Any] = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return content


def curves(folder: Path) -> list[dict[str, str]]:
    """The rows of ``metrics.csv``; of wall-clock times only whether they are there."""
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: "there" if key in TIMES and value else value for key, value in row.items()} for row in rows]


def assert_same(one: Any, other: Any, place: str = "") -> None:
    """Equal to the last bit, whatever the nesting."""
    assert type(one) is type(other), place
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, place
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for position, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{place}/{position}")
    else:
        assert one == other, place


def assert_same_run(folder: Path, whole: Path, steps: int) -> None:
    """Weights, banks, optimizer, schedule, counters and curves of a run are those of another, over so many steps."""
    found, expected = checkpoint(folder), checkpoint(whole)
    assert found["global_step"] == steps
    for part in OF_THE_STATE:
        assert_same(found[part], expected[part], part)
    assert curves(folder) == curves(whole)
    assert [int(row["step"]) for row in curves(folder)] == list(range(steps))


def at_step(monkeypatch: Any, step: int, method: str, action: Any) -> None:
    """Does something within a method of the module, at one step."""
    original = getattr(ReIDModule, method)

    def acting(self: ReIDModule, *args: Any, **kwargs: Any) -> Any:
        if self.trainer.global_step == step and self.trainer.state.fn == "fit":
            action(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(ReIDModule, method, acting)


def break_off(module: ReIDModule) -> None:
    """Leaves running statistics as a forward that was under way would have."""
    with torch.no_grad():
        for buffer in module.net.buffers():
            buffer.add_(1)
    raise BrokenOffError


def send(number: int) -> Any:
    """An action that sends a signal to this process."""
    return lambda module: os.kill(os.getpid(), number)
