"""A run's folder: named by what the run is; what makes two runs one."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from composition import values
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from dgreid.run.folder import (
    OPTIONS_OF_THE_MACHINE,
    difference,
    fingerprint,
    flatten,
    folder_suffix,
    of_the_machine,
    quoted,
    run_folder,
)

CONFIG_OF_RUN = {
    "name": "mine", "sources": ["a", "b"], "target": "c", "use": "train", "seed": 7, "runs": "out", "folder": None,
    "epochs": 3, "optim": {"lr": 0.1}, "data_root": "/data", "data": {"workers": 2, "height": 64},
    "trainer": {"max_steps": -1}, "domain": {"a": {"_target_": "A", "data_root": "/data", "crops": "detected"}},
}  # fmt: skip


def folder_of(*overrides, **values):
    config = OmegaConf.create({**CONFIG_OF_RUN, **values})
    return run_folder(config, overrides, "fbf").as_posix()


class TestName:
    def test_it_is_what_the_run_is(self):
        assert folder_of() == "out/mine/a+b_to_c/fbf/seed7"
        assert folder_of(target=["c", "d"]) == "out/mine/a+b_to_c+d/fbf/seed7"

    @pytest.mark.parametrize("typed", [(), ("use=train+test",)])
    def test_training_on_test_sets_shows_whoever_asks_for_it(self, typed):
        """A protocol's file, or the command line."""
        assert folder_of(*typed, use="train+test") == "out/mine/a+b_to_c_train+test/fbf/seed7"

    def test_other_values_follow_in_one_order(self):
        expected = "out/mine/a+b_to_c/fbf/seed7_net-small_optim.lr-0.01"
        assert folder_of("optim.lr=0.01", "net=small") == expected
        assert folder_of("net=small", "optim.lr=0.01") == expected
        assert folder_of("+net=small", "optim.lr=0.01") == expected

    @pytest.mark.parametrize(
        "override",
        ["seed=7", "sources=[a,b]", "strategy=fbf", "data_root=/elsewhere", "data.workers=4", "data.cache=disk",
         "trainer.devices=2", "logger=wandb", "runs=other", "resume=true", "logger.project=x", "protocol=p/q",
         "hydra.verbose=true", "data.test_batch_size=3", "trainer=ddp", "trainer=default"],
    )  # fmt: skip
    def test_what_the_path_says_or_the_machine_needs_does_not_show(self, override):
        assert folder_of(override) == folder_of()

    @pytest.mark.parametrize("override", ["data.height=32", "trainer.precision=bf16-mixed", "trainer=mine"])
    def test_what_changes_numbers_shows(self, override):
        assert folder_of(override) != folder_of()

    def test_a_folder_of_ones_own(self):
        assert folder_of("optim.lr=1", folder="here/it/is") == "here/it/is"

    @settings(deadline=None, derandomize=True, max_examples=50)
    @given(st.dictionaries(st.from_regex(r"\A[a-z]{2,8}\.[a-z]{1,8}\Z"), st.text(max_size=60), max_size=6))
    def test_it_is_a_file_name(self, values):
        suffix = folder_suffix([f"{key}={value}" for key, value in values.items()])
        assert len(suffix) <= 61
        assert not set(suffix) & set("/\\ '\"[]{}$*?:=,\n\t")

    def test_long_names_stay_apart(self):
        names = {folder_suffix(["a.b=" + "x" * 100 + end]) for end in "12"}
        assert len(names) == 2
        assert all(len(name) <= 61 for name in names)
        cells = {folder_of(sources=["s" * 100, "t" * 100, end]) for end in "12"}
        assert len(cells) == 2
        assert all(len(part) <= 200 for cell in cells for part in cell.split("/"))


class TestFingerprint:
    def test_the_machine_does_not_count(self):
        moved = {**CONFIG_OF_RUN, "data_root": "/other", "runs": "elsewhere", "data": {"workers": 0, "height": 64}}
        moved["domain"] = {"a": {"_target_": "A", "data_root": "/other", "crops": "detected"}}
        assert fingerprint(moved) == fingerprint(CONFIG_OF_RUN)
        assert fingerprint(dict(reversed(CONFIG_OF_RUN.items()))) == fingerprint(CONFIG_OF_RUN)

    @pytest.mark.parametrize("change", [{"seed": 8}, {"optim": {"lr": 0.2}}, {"epochs": 4}, {"target": "d"}])
    def test_what_changes_results_counts(self, change):
        assert fingerprint({**CONFIG_OF_RUN, **change}) != fingerprint(CONFIG_OF_RUN)

    def test_flat_keys(self):
        assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": 1, "a.c.d": [2], "e": None}


@pytest.mark.parametrize("path", ["runs/demo/a+b_to_c/fb/seed-3_x.y", "my runs/ünï", "a,b/(c)", "d=e"])
def test_a_quoted_path_is_read_back(path):
    (word,) = shlex.split(f"run={quoted(Path(path))}")
    (override,) = OverridesParser.create().parse_overrides([word])
    assert str(override.value()) == path


def test_ones_own_folder_is_what_a_run_is_and_a_synthetic_one_only_a_place():
    def printed(name, key, value):
        return fingerprint({"domain": {name: {key: value}}})

    assert printed("folder", "folder", "a") != printed("folder", "folder", "b")
    assert printed("synthetic_plaza", "folder", "a") == printed("synthetic_plaza", "folder", "b")
    assert printed("market1501", "data_root", "a") == printed("market1501", "data_root", "b")


class TestSameRun:
    def test_the_machine_and_more_steps_make_no_other_run(self):
        assert difference(CONFIG_OF_RUN, CONFIG_OF_RUN) == []
        assert difference(CONFIG_OF_RUN, {**CONFIG_OF_RUN, "runs": "x", "data": {"workers": 9, "height": 64}}) == []
        assert difference(CONFIG_OF_RUN, {**CONFIG_OF_RUN, "epochs": 9}) == []
        short = {**CONFIG_OF_RUN, "trainer": {"max_steps": 2}}
        assert difference(short, CONFIG_OF_RUN) == []
        assert difference(short, {**short, "trainer": {"max_steps": 3}}) == []

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"sources": ["a"]}, ["sources was ['a', 'b'] and is ['a']"]),
            ({"optim": {"lr": 5, "new": 1}}, ["optim.lr was 0.1 and is 5", "optim.new was None and is 1"]),
            ({"epochs": 2}, ["epochs was 3 and is 2"]),
            ({"trainer": {"max_steps": 2}}, ["trainer.max_steps was -1 and is 2"]),
            ({"epochs": 9, "seed": 1}, ["seed was 7 and is 1"]),
        ],
    )
    def test_anything_else_is_named(self, change, told):
        assert difference(CONFIG_OF_RUN, {**CONFIG_OF_RUN, **change}) == told

    def test_processes_count_where_statistics_are_of_each(self):
        def run(statistics, **trainer):
            return {**CONFIG_OF_RUN, "batch_statistics": statistics, "trainer": {"max_steps": -1, **trainer}}

        assert difference(run("global", devices=2), run("global", devices=4, num_nodes=2)) == []
        assert difference(run("local", devices=2), run("local", devices=[0, 3])) == []
        assert difference(run("local", devices=4), run("local", devices=2, num_nodes=2)) == []
        assert difference(run("local", devices=2), run("local", devices=3)) == ["processes was 2 and is 3"]
        assert fingerprint(run("local", devices=2)) != fingerprint(run("local", devices=3))
        assert fingerprint(run("global", devices=2)) == fingerprint(run("global", devices=3))


@pytest.mark.parametrize("option", OPTIONS_OF_THE_MACHINE)
def test_an_option_of_the_machine_changes_nothing_else(option):
    default, other = values("trainer=default"), values(option)
    different = [key for key in default.keys() | other.keys() if default.get(key) != other.get(key)]
    assert all(map(of_the_machine, different))
    assert bool(different) == (option != "trainer=default")
