"""Patterns of a sweep: as Hydra writes them, over a group and its folders; what matches nothing is an error."""

from __future__ import annotations

import pytest
from composition import CONF
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from dgreid.errors import InputError
from dgreid.run.compose import register_catalogue
from dgreid.run.sweep_matches import SweepMatches, options_of, write_out, written_out

M3L = [f"m3l/to_{target}" for target in ("cuhknp", "dukemtmc", "market1501", "msmt17v2")]
FILES = sorted(
    path.relative_to(CONF / "protocol").with_suffix("").as_posix() for path in CONF.glob("protocol/*/*.yaml")
)


@pytest.fixture
def loader():
    register_catalogue()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()
    HydraConfig.instance().cfg = None


@pytest.fixture
def sweep(loader):
    """A sweep's configuration, from what was typed."""

    def composed(*words):
        return loader.load_configuration("train", list(words), RunMode.MULTIRUN)

    return composed


def test_options_are_the_files_of_all_folders(loader):
    assert options_of("protocol", loader) == FILES
    assert options_of("net", loader) == sorted(path.stem for path in CONF.glob("net/*.yaml"))
    assert options_of("seed", loader) == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("protocol=glob(m3l/*)", "protocol=" + ",".join(M3L)),
        ("+protocol=glob(m3l/*)", "+protocol=" + ",".join(M3L)),
        ("protocol=glob(m3l/*, exclude=*cuhknp)", "protocol=" + ",".join(M3L[1:])),
        ("protocol=glob([m3l/*1501, p2/*1501])", "protocol=m3l/to_market1501,p2/to_market1501"),
        ("protocol=glob([m3l/*,p2/*])", "protocol=" + ",".join([*M3L, *(f for f in FILES if f.startswith("p2/"))])),
        ("protocol=glob(*/to_station)", "protocol=synthetic/to_station"),
        (
            "protocol=glob(*,exclude=synthetic*)",
            "protocol=" + ",".join(name for name in FILES if not name.startswith("synthetic")),
        ),
        ("protocol=glob(*)", "protocol=" + ",".join(FILES)),
        ("strategy=glob(f*)", "strategy=fb,fbf"),
        ("protocol=glob(p2/to_m*1)", "protocol=p2/to_market1501,p2/to_msmt17v1"),
        ("seed=0,1,2", "seed=0,1,2"),
        ("seed=range(0,3)", "seed=range(0,3)"),
        ("name=a b", "name=a b"),
        ("~experiment", "~experiment"),
        ("net.weights=null", "net.weights=null"),
        ("optim.lr=interval(0,1)", "optim.lr=interval(0,1)"),
    ],
)
def test_patterns_are_written_out_and_nothing_else(word, expected, loader):
    assert written_out([word], loader) == [expected]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "protocol=glob(m3l_/*)",
            r"protocol=glob\(m3l_/\*\) matches no protocol, so there would be no run; known: il/to_cuhknp, .*, m3l/to_",
        ),
        (
            "strategy=glob(x*)",
            r"strategy=glob\(x\*\) matches no strategy, so there would be no run; .*known: fb, fbf, il,",
        ),
        ("seed=glob(*)", r"seed=glob\(\*\) matches no seed, so there would be no run; glob\(\) is for groups"),
        ("seed=range(3,3)", r"seed=range\(3,3\) has no value, so there would be no run"),
        ("seed=range(3,1)", r"seed=range\(3,1\) has no value"),
    ],
)
def test_what_matches_nothing_is_refused(word, message, loader):
    with pytest.raises(InputError, match=message):
        written_out(["strategy=fb", word], loader)


def test_the_sweep_starts_what_was_matched(sweep, loader):
    config = sweep("protocol=glob(m3l/*)", "strategy=fb,m3l", "seed=0,1,2")
    write_out(config, loader)
    assert list(config.hydra.overrides.task) == [f"protocol={','.join(M3L)}", "strategy=fb,m3l", "seed=0,1,2"]
    assert OmegaConf.is_readonly(config.hydra) == OmegaConf.is_readonly(sweep("seed=0").hydra)


def test_values_that_a_file_sweeps_over(sweep, loader, tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nhydra: {sweeper: {params: {protocol: glob(p2/*), seed: '0,1'}}}\n"
    (tmp_path / "experiment" / "whole_table.yaml").write_text(text, encoding="utf-8")
    config = sweep("experiment=whole_table", f'hydra.searchpath=["file://{tmp_path}"]')
    write_out(config, loader)
    assert dict(config.hydra.sweeper.params) == {
        "protocol": "p2/to_cuhknp,p2/to_market1501,p2/to_msmt17v1", "seed": "0,1",
    }  # fmt: skip


def test_hydra_s_callback_ends_the_command(sweep, capsys):
    with pytest.raises(SystemExit) as stopped:
        SweepMatches().on_multirun_start(sweep("protocol=glob(nothing/*)"))
    assert stopped.value.code == 1
    assert capsys.readouterr().err.startswith("error: protocol=glob(nothing/*) matches no protocol")


def test_both_commands_ask_it_first():
    for name in ("train", "evaluate"):
        callbacks = OmegaConf.load(CONF / f"{name}.yaml").hydra.callbacks
        assert next(iter(callbacks.values()))["_target_"] == "dgreid.run.sweep_matches.SweepMatches"


def test_one_run_takes_no_pattern(loader):
    with pytest.raises(HydraException, match="requires --multirun"):
        loader.load_configuration("train", ["protocol=glob(m3l/*)"], RunMode.RUN)
