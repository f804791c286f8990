"""The command of a single run that a job of a sweep is."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from hydra.types import RunMode

from dgreid.run import launching
from dgreid.run.launching import own_command


@pytest.fixture
def typed(monkeypatch):
    """Pretends to be a job; takes what was typed for Hydra itself, and the folder of groups of one's own."""
    monkeypatch.setattr(launching, "program", lambda: ["train.py"])

    def pretend(mode, *for_hydra, own=None):
        sources = [SimpleNamespace(provider="main", path="/conf"), SimpleNamespace(provider="schema", path="")]
        sources += [SimpleNamespace(provider="command-line", path=own)] if own else []
        overrides = SimpleNamespace(hydra=list(for_hydra), task=["strategy=fb", "seed=1"])
        hydra = SimpleNamespace(
            mode=mode, overrides=overrides, runtime=SimpleNamespace(config_sources=sources),
            job=SimpleNamespace(config_name="mine"),
        )  # fmt: skip
        monkeypatch.setattr(launching.HydraConfig, "get", lambda: hydra)

    return pretend


def test_a_jobs_command_has_its_own_values_the_same_configuration_and_nothing_of_the_sweep(typed):
    of_the_sweep = ("hydra.mode=MULTIRUN", "hydra/launcher=joblib", "+hydra.launcher.n_jobs=2", "hydra.sweep.dir=x")
    typed(RunMode.MULTIRUN, "hydra.searchpath=[file:///mine]", *of_the_sweep, own="/groups")
    assert own_command() == [
        sys.executable, "train.py", "--config-name", "mine", "--config-path", "/conf", "--config-dir", "/groups",
        "hydra.searchpath=[file:///mine]", "strategy=fb", "seed=1",
    ]  # fmt: skip


def test_a_single_run_is_repeated_as_it_was_typed(typed, monkeypatch):
    typed(RunMode.RUN)
    monkeypatch.setattr("sys.argv", ["train.py", "--config-dir", "/groups", "seed=1", "trainer=ddp"])
    assert own_command() == [sys.executable, "train.py", "--config-dir", "/groups", "seed=1", "trainer=ddp"]
