"""Errors of Hydra, as the user reads them."""

from __future__ import annotations

import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.utils import instantiate
from pytorch_lightning.utilities.exceptions import SIGTERMException

from dgreid.run.compose import command, readable


def test_a_value_that_needs_quotes_says_so():
    with pytest.raises(HydraException) as caught:
        OverridesParser.create().parse_overrides(["data_root=/données/a b"])
    text = readable(caught.value)
    assert text.startswith("data_root=/données/a b cannot be understood")
    assert "quotes" in text
    assert OverridesParser.create().parse_overrides([text.rpartition(": ")[2].strip("'")])


def test_a_word_without_a_key_says_so():
    with pytest.raises(HydraException) as caught:
        OverridesParser.create().parse_overrides(["demo"])
    assert readable(caught.value).startswith("demo cannot be understood; values are given as key=value")


def ended_by_sigterm(config):
    raise SIGTERMException


def ended_by_ctrl_c(config):
    """As Lightning does it."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)


@pytest.mark.parametrize(
    ("task", "code", "told"), [(ended_by_sigterm, 143, "resume=auto"), (ended_by_ctrl_c, 130, "by the keyboard")]
)
def test_a_stopped_run_is_no_success(task, code, told, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train.py", "experiment=demo"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setenv("DGREID_MESSAGES", "1")
    with pytest.raises(SystemExit) as stopped:
        command(task, "train")()
    assert stopped.value.code == code
    assert told in capsys.readouterr().err


def test_a_constructor_s_own_words_are_the_message():
    with pytest.raises(HydraException) as caught:
        instantiate({"_target_": "datetime.timedelta", "days": "many"})
    text = readable(caught.value)
    assert "unsupported type" in text
    assert "call to target" not in text
