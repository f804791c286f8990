"""Every method of the project keeps the contract, by the function that methods of one's own are held to."""

from __future__ import annotations

import pytest

from dgreid.run.compose import conf_folder
from dgreid.testing import check_strategy
from dgreid.testing.strategies import NAMES, OF_PROCESSES

FILES = sorted((conf_folder() / "strategy").glob("*.yaml"))


@pytest.mark.parametrize("check", [name for name in NAMES if name not in OF_PROCESSES])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_strategy_keeps_the_contract(file, check, one_thread):
    (outcome,) = check_strategy(file, checks=[check])
    assert outcome.passed
    assert not outcome.detail or (outcome.check == "sources" and "at least two" in outcome.detail)


@pytest.mark.parametrize("check", OF_PROCESSES)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_two_and_three_processes_are_one(file, check, one_thread):
    (outcome,) = check_strategy(file, checks=[check], processes=(2, 3))
    assert outcome.detail == ""
