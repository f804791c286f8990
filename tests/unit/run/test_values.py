"""Types of typed values are those of the signatures that they are handed to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from dgreid.errors import InputError
from dgreid.run.values import check_values


class Style:
    """A part that is built by itself."""

    def __init__(self, strength: float = 1.0) -> None: ...


class Strategy:
    """A method of somebody's own, whose annotations are all that is known of it."""

    def __init__(
        self,
        whole: int = 1,
        number: float = 1.0,
        switch: bool = False,
        word: str = "a",
        place: Path | None = None,
        choice: Literal["first", "second", 3] = "first",
        several: Sequence[int] = (),
        style: Style | None = None,
        either: float | Literal["outer"] = "outer",
        anything: Any = None,
        unsaid=None,
        margin: float = 0.0,
    ) -> None: ...


def check(**values):
    style = {"_target_": f"{__name__}.Style", "strength": values.pop("strength", 1.0)}
    strategy = {"_target_": f"{__name__}.Strategy", "style": style, **values}
    check_values(OmegaConf.create({"strategy": strategy}))


@pytest.mark.parametrize(
    "values",
    [
        {
            "whole": -3,
            "number": 2,
            "switch": True,
            "word": "",
            "place": None,
            "choice": 3,
            "several": [],
            "style": None,
        },
        {"number": 1e9, "place": "/tmp", "several": [1, 2], "either": 0.5, "anything": [1], "unsaid": "a"},
        {"either": "outer"},
    ],
)
def test_values_of_their_type_pass(values):
    check(**values)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("whole", 1.5, "a whole number"),
        ("whole", "text", "a whole number"),
        ("whole", True, "a whole number"),
        ("whole", None, "a whole number"),
        ("whole", [1], "a whole number"),
        ("number", "text", "a finite number"),
        ("number", float("nan"), "a finite number"),
        ("number", float("inf"), "a finite number"),
        ("switch", "no", "true or false"),
        ("switch", 1, "true or false"),
        ("word", ["a"], "text .*"),
        ("word", 5, r"text \(quote what looks like a number\)"),
        ("place", 5, r"text \(quote what looks like a number\) or null"),
        ("choice", "third", "known: 3, first, second"),
        ("choice", "fist", "did you mean .first.. known: 3, first, second"),
        ("choice", ["first"], ".*known: 3, first, second"),
        ("several", 1, "a list, of each element: a whole number"),
        ("several", [1, "b"], "a list, of each element: a whole number"),
        ("style", "mixstyle", "a group of values with _target_ or null"),
        ("either", "inner", "a finite number or outer"),
    ],
)
def test_others_are_refused_by_their_key(name, value, rule):
    with pytest.raises(InputError, match=rf"^strategy\.{name}=.*: {rule}$"):
        check(**{name: value})


def test_parts_are_checked_under_their_own_key():
    with pytest.raises(InputError, match=r"^strategy\.style\.strength=much: a finite number$"):
        check(strength="much")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"allow_seen_target": "no"}, "allow_seen_target=no: true or false"),
        ({"tf32": 1}, "tf32=1: true or false"),
        ({"runs": ["a"]}, r"runs=\['a'\]: text"),
        ({"name": ["a"]}, r"name=\['a'\]: text"),
        ({"data": "small"}, "data=small: a group of values"),
        ({"data": {"transform": None}}, "data.transform=None: a group of values"),
        ({"data": {"transform": {"pad": 1.5}}}, "data.transform.pad=1.5: a whole number"),
        ({"data": {"transform": {}, "cache": ["disk"]}}, r"data.cache=\['disk'\]: .*known: disk, none"),
        ({"optim": {"lr": 1e9}}, r"optim.lr=1000000000.0: it must lie between 0 and 1000"),
        ({"trainer": {"log_every_n_steps": -1}}, "trainer.log_every_n_steps=-1: it must lie between"),
    ],
)
def test_values_outside_of_signatures(config, message):
    with pytest.raises(InputError, match=message):
        check_values(OmegaConf.create(config))


def test_a_range_holds_for_the_project_s_own_strategies():
    with pytest.raises(InputError, match=r"^strategy\.margin=-1: it must lie between 0 and 1e\+09$"):
        check_values(OmegaConf.create({"strategy": {"_target_": "dgreid.strategies.m3l.M3L", "margin": -1}}))
    check(margin=-1)


def test_a_number_may_name_a_run_and_what_cannot_be_found_is_left_to_hydra():
    check_values(OmegaConf.create({"name": 5, "net": {"_target_": "nowhere.Net", "width": "text"}}))


def test_what_only_another_choice_takes_is_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"strategy.stem=1: Strategy takes no stem; leave it out by '~strategy.stem'"):
        check(stem=1)
