"""Errors of Hydra, as the user reads them."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.utils import instantiate

from dgreid.run.compose import readable


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


def test_a_constructor_s_own_words_are_the_message():
    with pytest.raises(HydraException) as caught:
        instantiate({"_target_": "datetime.timedelta", "days": "many"})
    text = readable(caught.value)
    assert "unsupported type" in text
    assert "call to target" not in text
