"""Every command in the documents can be pasted: values compose, options exist, no shell takes them for patterns."""

from __future__ import annotations

import argparse
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from omegaconf import DictConfig, OmegaConf
from written_commands import ROOT, Written, commands, write_groups

import dgreid.__main__
from dgreid.run.compose import conf_folder, register_catalogue
from dgreid.run.folder import flatten
from dgreid.search.__main__ import as_override

HYDRA_COMMANDS = {
    ("python", "train.py"): "train",
    ("python", "evaluate.py"): "evaluate",
    ("python", "-m", "dgreid.train"): "train",
    ("python", "-m", "dgreid.evaluate"): "evaluate",
    ("python", "-m", "dgreid.export"): "export",
    ("python", "-m", "dgreid.search", "index"): "search_index",
    ("python", "-m", "dgreid.search", "query"): "search_query",
    ("python", "-m", "dgreid.search", "add"): "search_add",
    ("torchrun",): "train",
    ("srun",): "train",
}
FLAGS_WITH_VALUE = {"--cfg", "--config-dir", "-cd", "--package"}
OTHERS = {"export", ".", "[", "cd", "git", "pip", "peers/bin/pip", "scontrol", "sbatch", "wandb"}
ALL = list(commands())
SHELL = [one for one in ALL if ":" in one.place or one.place.startswith("conf/")]


def hydra_config(one: Written) -> str | None:
    """The file in ``conf`` that a command composes, None for other commands."""
    return next((name for start, name in HYDRA_COMMANDS.items() if tuple(one.words[: len(start)]) == start), None)


def named(chosen: list[Written]) -> list[object]:
    return [pytest.param(one, id=f"{one.place} {one.line[:70]}") for one in chosen]


def takes_arguments(one: Written) -> bool:
    """Whether a command is a program of the project with options of its own, no values of a configuration."""
    python, first, second = (*one.words, "", "")[:3]
    return python == "python" and (second.startswith("dgreid.") if first == "-m" else first.endswith(".py"))


HYDRA = [one for one in ALL if hydra_config(one)]
ARGUMENTS = [one for one in ALL if one not in HYDRA and takes_arguments(one)]
LISTS = [one for one in ALL if one.words[:3] == ["python", "-m", "dgreid"]]
MAKE = [one for one in ALL if one.words[0] == "make"]


def test_every_command_is_of_a_known_kind():
    known = [*HYDRA, *ARGUMENTS, *LISTS, *MAKE]
    assert len(HYDRA) >= 100
    assert len(ARGUMENTS) >= 15
    assert len(MAKE) >= 20
    rest = [one for one in SHELL if one not in known and one.words[0] not in OTHERS]
    assert [one for one in rest if one.words[:2] != ["python", "-m"] or one.words[2] not in ("venv", "hatchling")] == []


@pytest.mark.parametrize("one", named([one for one in SHELL if one in HYDRA or one in ARGUMENTS]))
def test_no_shell_takes_a_value_for_a_pattern(one):
    without_comment = re.sub(r"\s+#.*$", "", one.line)
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", re.sub(r" > [\w.]+$", "", without_comment))
    assert not re.search(r"[\[\]*?(){}$!~<>|&;]", unquoted), f"quote this for bash and zsh: {unquoted}"


def overrides_of(one: Written) -> list[str]:
    """The values that a command types; ``...`` stands for what is left out."""
    words = one.words
    start = next(index for index, word in enumerate(words) if word in ("train.py", "evaluate.py", "-m"))
    values, rest = [], words[start + 1 :]
    while rest:
        word = rest.pop(0)
        if word in FLAGS_WITH_VALUE:
            del rest[0]
        elif "=" in word and not word.startswith(("-", "hydra.searchpath=")):
            values.append(as_override(word) if "dgreid.search" in words else word)
    return values


def first_of(override: Override, typed: str, own: Path) -> str:
    """A sweep's first value, of a pattern the first option that fits; what is no sweep, as it was typed."""
    if not override.is_sweep_override():
        return typed
    group, value = override.get_key_element(), override.value()
    if isinstance(value, Glob):
        folders = [folder / group for folder in (conf_folder(), own)]
        options = [path.relative_to(folder).with_suffix("") for folder in folders for path in folder.rglob("*.yaml")]
        return f"{group}={next(name for name in sorted(options) if any(map(name.match, value.include)))}"
    return f"{group}={next(iter(override.sweep_string_iterator()))}"


@pytest.fixture(scope="module")
def own_groups(tmp_path_factory):
    """What documents tell their readers to write into ``conf``."""
    folder = tmp_path_factory.mktemp("own")
    write_groups(folder)
    return folder


@pytest.mark.parametrize("one", named([*{(hydra_config(one), *overrides_of(one)): one for one in HYDRA}.values()]))
def test_the_values_compose(one, own_groups):
    typed = overrides_of(one)
    parsed = OverridesParser.create().parse_overrides(typed)
    chosen = [first_of(override, word, own_groups) for override, word in zip(parsed, typed, strict=True)]
    config = composed(hydra_config(one), *chosen, f"hydra.searchpath=[file://{own_groups}]")
    assert OmegaConf.to_container(config, resolve=True)


def composed(name: str, *overrides: str) -> DictConfig:
    register_catalogue()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose(name, overrides=list(overrides))


class ParsedError(Exception):
    """Raised where a program has understood what was typed, and would begin."""


@pytest.fixture
def only_parse(monkeypatch):
    """Programs stop where they have parsed their arguments."""
    original = argparse.ArgumentParser.parse_known_args
    depth = 0

    def parse_known_args(parser, args=None, namespace=None):
        nonlocal depth
        depth += 1
        try:
            found, rest = original(parser, args, namespace)
        finally:
            depth -= 1
        if depth == 0:
            assert [word for word in rest if word.startswith("-")] == []
            raise ParsedError
        return found, rest

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parse_known_args)


@pytest.mark.parametrize("one", named(ARGUMENTS))
def test_the_options_exist(one, only_parse, monkeypatch, capsys):
    words = one.words[: one.words.index(">")] if ">" in one.words else one.words
    module = words[1] == "-m"
    program = ROOT / "src" / words[2].replace(".", "/") / "__main__.py" if module else ROOT / words[1]
    if "argparse" not in program.read_text(encoding="utf-8"):  # it takes no arguments, and would begin
        assert len(words) == (3 if module else 2)
        return
    monkeypatch.setattr(sys, "argv", words[2:] if module else words[1:])
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    said = "it parses no arguments"
    try:
        runpy.run_path(str(program), run_name="__main__")
    except ParsedError:
        return
    except SystemExit as stop:
        said = "".join(capsys.readouterr())
        # Running text may say what a command is called, and no more.
        mentioned = one not in SHELL and len(words) <= 4 and "required" in said
        if stop.code == 0 or mentioned:
            return
    pytest.fail(f"{one.line}: {said}")


@pytest.mark.parametrize("one", named(LISTS))
def test_the_lists_of_choices_are_there(one, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert dgreid.__main__.main(one.words[3:]) == 0
    assert "python -m dgreid.train" in capsys.readouterr().out or "list" in one.words


@pytest.mark.parametrize("one", named(MAKE))
def test_the_targets_of_make_exist(one):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets, variables = [], []
    for word in one.words[1:]:
        (variables if "=" in word else targets).append(word.partition("=")[0])
    assert targets
    for target in targets:
        pattern = re.escape(target).replace(r"\*", ".+")
        assert re.search(f"^{pattern}: ", makefile, re.MULTILINE), target
    for variable in variables:
        assert re.search(rf"\$[({{]{variable}[)}}]", makefile), variable


def test_a_style_alone_takes_five_lines():
    section = (ROOT / "docs" / "methods" / "il.md").read_text(encoding="utf-8").partition("### Alone, in five lines")[2]
    lines = section.partition("```python\n")[2].partition("```")[0].splitlines()
    assert len([line for line in lines if line]) == 5
    images = torch.randn(4, 3, 64, 32)
    torch.manual_seed(0)
    pasted = {"images": images}
    exec("\n".join(lines), pasted)
    with torch.no_grad():
        assert (pasted["scores"] - pasted["net"](images)).abs().max() > 1e-3
        assert torch.equal(pasted["net"](images), pasted["net"](images))  # no style is left


RELEASES = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
OPTIONS = [
    line for line in RELEASES.partition("## Option by option")[2].partition("\n## ")[0].splitlines() if "|" in line
]
HERE = sorted({value for row in OPTIONS[2:] for value in re.findall(r"`([\w.]+=[^`]+)`", row.split("|", 2)[2])})


def test_every_option_of_the_releases_stands_in_the_table():
    theirs = "".join(row.split("|")[1] for row in OPTIONS)
    for option in (
        "-a resMeta", "-a IBNMeta", "-a resnet50", "--BNNeck", "--dataset_src1", "--dataset_src2", "--dataset_src3",
        "-d ",
        "--dataset ", "-b ", "--batch-size", "--test-batch-size", "-j ", "--workers", "--height", "--width",
        "--num-instances", "--features", "--dropout", "--momentum", "--BNtype", "--margin", "--lr", "--weight-decay",
        "--epochs", "--epoch ", "--iters", "--step-size", "--seed", "--print-freq", "--eval-step", "--temp",
        "--data-dir",
        "--logs-dir", "--resume", "--evaluate", "--updateStyle",
    ):  # fmt: skip
        assert option in theirs, option


@pytest.fixture(scope="module")
def known_keys():
    """Every key of a training by IL or M3L, and of an evaluation."""
    train = (composed("train", f"strategy={method}") for method in ("il", "m3l"))
    return {key for config in (*train, composed("evaluate")) for key in flatten(OmegaConf.to_container(config))}


@pytest.mark.parametrize("value", HERE)
def test_what_stands_beside_the_options_of_the_releases_exists(value, known_keys):
    key, _, given = value.partition("=")
    if (conf_folder() / key).is_dir():
        assert (conf_folder() / key / f"{given}.yaml").is_file()
    elif key != "DGREID_DATA":
        assert key in known_keys
