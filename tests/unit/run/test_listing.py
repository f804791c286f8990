"""What ``python -m dgreid`` and ``python -m dgreid list`` print, of the project and of folders of one's own."""

from __future__ import annotations

import inspect
import re
import sys

import pytest
from documents import ROOT

from dgreid.__main__ import COMMANDS, main
from dgreid.errors import InputError
from dgreid.run.compose import conf_folder
from dgreid.run.listing import choices, group_of, kinds, search_path
from dgreid.strategies.m3l import M3L

PROJECT = [conf_folder()]


def printed(capsys, *words, columns=None, monkeypatch=None):
    if monkeypatch is not None:
        monkeypatch.setenv("COLUMNS", str(columns))
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_every_program_is_among_the_commands(capsys):
    package = ROOT / "src" / "dgreid"
    programs = {path.parent.name for path in package.glob("*/__main__.py")} | {"train", "evaluate"}
    assert {name.rpartition(".")[2] for name in COMMANDS} - {"python -m dgreid list"} == programs
    text = printed(capsys)
    assert all(name in text for name in COMMANDS)


def test_every_group_and_every_file_is_listed(capsys):
    groups = {path.name for path in conf_folder().iterdir() if path.is_dir()}
    assert set(kinds(PROJECT).values()) == groups - {"hydra"}
    text = printed(capsys, "list")
    for group in kinds(PROJECT).values():
        for file in (conf_folder() / group).rglob("*.yaml"):
            assert file.relative_to(conf_folder() / group).with_suffix("").as_posix() in text


@pytest.mark.parametrize("kind", kinds(PROJECT))
def test_every_kind_can_be_described(kind, capsys):
    text = printed(capsys, "list", kind)
    for choice in choices(group_of(kind, PROJECT), PROJECT):
        assert choice.name in text
        assert "cannot be imported" not in choice.text
    assert group_of(group_of(kind, PROJECT), PROJECT) == group_of(kind, PROJECT)


def test_a_strategy_is_told_with_its_paper_file_class_and_options():
    found = {choice.name: choice for choice in choices("strategy", PROJECT)}
    m3l, released = found["m3l"], found["m3l_released"]
    assert m3l.paper == "Zhao et al., CVPR 2021"
    assert m3l.target == released.target == "dgreid.strategies.m3l.M3L"
    assert m3l.text == "Memory-based multi-source meta-learning for any number of sources from two"
    parameters = inspect.signature(M3L).parameters
    assert set(m3l.options) == set(parameters) - {"draws"}
    assert m3l.options["inner_weight_decay"] == "0.0005"  # looked up in optim; the constructor's default
    assert (m3l.options["metabn_scale"], released.options["metabn_scale"]) == ("std", "variance")
    assert released.options["margin"] == "0.3"  # of the file that its defaults name
    assert found["fb"].options["loss_style"] == "..."


def test_a_domain_s_and_a_protocol_s_own_words_are_taken():
    market = next(choice for choice in choices("domain", PROJECT) if choice.name == "market1501")
    assert "ICCV 2015" in market.paper
    assert market.target.endswith("Market1501")
    night = next(choice for choice in choices("protocol", PROJECT) if choice.name == "synthetic/to_night")
    assert night.text.startswith("Leave-one-out over the embedded benchmark")
    assert night.options["target"] == "synthetic_night"


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", [(), ("list",), ("list", "strategies", "nets", "domains", "protocols")])
def test_lines_fit_the_terminal(words, columns, capsys, monkeypatch):
    text = printed(capsys, *words, columns=columns, monkeypatch=monkeypatch)
    for line in text.splitlines():
        assert len(line) <= columns or len(line.split()) == 1, line


@pytest.fixture
def own(tmp_path):
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "mine.yaml").write_text(
        "# My idea (Somebody et al., ICCV 2031). And more.\n_target_: my_listed_package.Mine\nwarmth: 3\n"
    )
    (tmp_path / "sampler").mkdir()
    (tmp_path / "sampler" / "odd.yaml").write_text("odd: true\n")
    package = tmp_path / "my_listed_package.py"
    package.write_text("class Mine:\n    def __init__(self, warmth=1, cold=False): pass\n")
    yield tmp_path
    sys.modules.pop("my_listed_package", None)


@pytest.mark.parametrize(
    "words",
    [("--config-dir={}",), ("--config-dir", "{}"), ("hydra.searchpath=[file://{}]",), ("hydra.searchpath=['{}']",)],
)
def test_folders_of_one_s_own_are_listed_too(words, own, capsys, monkeypatch):
    monkeypatch.syspath_prepend(own)
    text = printed(capsys, "list", "strategies", *(word.format(own) for word in words))
    mine = text.partition("  mine")[2].partition("\n\n")[0]
    plain = " ".join(mine.split())
    assert plain.startswith(f"My idea Somebody et al., ICCV 2031 · {own}/strategy/mine.yaml · my_listed_package.Mine")
    assert plain.endswith("warmth=3 cold=false")
    assert re.search(r"^  fb ", text, flags=re.MULTILINE)
    assert "sampler" in printed(capsys, "list", *(word.format(own) for word in words))


def test_what_cannot_be_imported_is_said_where_it_stands(own, capsys):
    assert "cannot be imported" in printed(capsys, "list", "strategies", f"--config-dir={own}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lists"], r"lists: `python -m dgreid` knows `list`"),
        (["list", "strategys"], r"list strategys: did you mean 'strategies'\?"),
        (["list", "--config-dir=/nowhere/at/all"], r"/nowhere/at/all: there is no such folder"),
        (["list", "hydra.searchpath=[pkg://no_such_package_here]"], r"pkg://no_such_package_here: No module named"),
        (["list", "strategy=fb"], r"strategy=fb: list takes kinds"),
    ],
)
def test_what_is_mistyped_ends_with_a_message(words, message, capsys):
    assert main(words) == 1
    assert re.search(f"error: {message}", capsys.readouterr().err)


def test_a_file_that_is_no_yaml_is_named(own):
    (own / "strategy" / "broken.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"broken\.yaml is no YAML"):
        choices("strategy", search_path([str(own)]))
