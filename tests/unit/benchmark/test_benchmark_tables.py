"""Which runs the tables of the benchmark commands are made of, and what is told before they are begun."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from dgreid.benchmark import checks
from dgreid.benchmark.__main__ import main
from dgreid.benchmark.checks import problems
from dgreid.benchmark.tables import BENCHMARKS, sweeps_of
from dgreid.errors import InputError
from dgreid.run.compose import conf_folder
from dgreid.run.composition import composed
from dgreid.run.folder import run_folder

SEEDS = (0, 1, 2)


def cells(name, **options):
    """Protocol, strategy and seed of all runs of a table."""
    chosen = {"strategies": (), "seeds": SEEDS, "extra": False, "overrides": (), **options}
    return [
        (protocol, strategy, seed)
        for sweep in sweeps_of(name, **chosen)
        for protocol in sweep.protocols
        for strategy in sweep.strategies
        for seed in sweep.seeds
    ]


def test_the_synthetic_table_is_five_methods_on_four_targets_with_three_seeds():
    found = cells("synthetic")
    assert len(found) == len(set(found)) == 5 * 4 * 3
    assert {strategy for _, strategy, _ in found} == {"fb", "fbf", "il", "m3l", "m3l_released"}
    assert {protocol for protocol, _, _ in found} == {
        f"synthetic/to_{t}" for t in ("plaza", "station", "campus", "night")
    }
    assert len(cells("synthetic", extra=True)) == 7 * 4 * 3


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_row_composes_and_no_two_runs_share_a_folder(name):
    folders = set()
    sweeps = sweeps_of(name, (), SEEDS, True, ())
    for sweep in sweeps:
        for strategy in sweep.strategies:
            words = [word for word in sweep.run(sweep.protocols[0], strategy) if not word.startswith("resume")]
            folders.add(run_folder(composed(words), words, strategy))
    assert len(folders) == sum(len(sweep.strategies) for sweep in sweeps)
    assert {folder.parts[1] for folder in folders} == {f"benchmark_{name}"}
    protocols = {path.stem for path in (conf_folder() / "protocol" / name).glob("*.yaml")}
    assert protocols == {cell[0].partition("/")[2] for cell in cells(name)}


def test_the_rows_of_the_synthetic_table_differ_in_the_method_and_the_necks_bias_alone():
    configs = {}
    for sweep in sweeps_of("synthetic", (), (2,), False, ()):
        for strategy in sweep.strategies:
            configs[strategy] = composed(sweep.run("synthetic/to_campus", strategy))
    base = configs["fb"]
    for strategy, config in configs.items():
        assert {key for key in config if config[key] != base[key]} <= {"strategy", "net", "memory_style", "loss_style"}
        assert {**config.net, "neck_bias": ""} == {**base.net, "neck_bias": ""}
        assert (config.net.neck_bias == "trainable") == strategy.startswith("m3l")
        assert (config.target, config.seed, config.selection) == ("synthetic_campus", 2, "last")


def test_an_interrupted_sweep_has_all_methods_of_a_target_and_all_targets_of_a_seed():
    (words,) = (sweep.words() for sweep in sweeps_of("il", (), (1, 0), False, ("data_root=/d",)))
    typed = [override.get_key_element() for override in OverridesParser.create().parse_overrides(words)]
    assert typed[:3] == ["seed", "protocol", "strategy"]  # the first varies slowest
    assert words[0] == "seed=1,0"
    assert {"resume=auto", "data_root=/d", "name=benchmark_il"} <= set(words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategies": ("ill",)}, "--strategies ill: not in this table; did you mean 'il'"),
        ({"strategies": ("softmax_triplet",)}, "further rows, which --extra adds"),
        ({"overrides": ("seed=4",)}, "seed is what a cell is"),
        ({"overrides": ("+strategy=fb",)}, "strategy is what a cell is"),
    ],
)
def test_what_would_be_another_table_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        cells("il", **options)


def test_all_that_is_missing_is_told_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert main(["p3", "--dry", f"data_root={tmp_path / 'none'}"]) == 1
    told = capsys.readouterr()
    assert "p3/to_market1501  il  seed 2" in told.out
    assert "error: 5 things are to be mended first:" in told.err
    for part in ("market1501: ", "msmt17v1: ", "cuhknp: ", "cuhk_sysu: ", "weights=imagenet_v1: "):
        assert told.err.count(f"- {part}") == 1
    assert "dukemtmc" not in told.err


def test_a_value_that_does_not_compose_is_told_before_anything_else():
    assert problems(sweeps_of("synthetic", ("fb",), (0,), False, ("epoch=3",)))[0].startswith("Could not override")


def test_a_disk_that_checkpoints_of_all_runs_would_fill(tmp_path, monkeypatch):
    sweeps = sweeps_of("synthetic", ("fb",), SEEDS, False, (f"runs={tmp_path}/runs",))
    assert problems(sweeps) == []
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda place: type("", (), {"free": 1000})())
    (told,) = problems(sweeps)
    assert told.startswith(f"{tmp_path} has 0.0 GB left, checkpoints of the runs to come take about")
    for number in range(4 * 3):  # all of them were begun before: nothing more is written
        (tmp_path / "runs" / "benchmark_synthetic" / str(number)).mkdir(parents=True)
        (tmp_path / "runs" / "benchmark_synthetic" / str(number) / "last.ckpt").touch()
    assert problems(sweeps) == []


@pytest.mark.parametrize(
    ("words", "message"), [(["--seeds", "a"], "whole numbers with commas"), (["--jobs", "0"], "at least one run")]
)
def test_wrong_options_end_with_a_message(words, message, capsys):
    assert main(["synthetic", *words]) == 1
    assert message in capsys.readouterr().err
