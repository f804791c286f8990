"""Every command in the documents can be pasted: its values compose, and no shell takes them for patterns."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from dgreid.run.compose import conf_folder, register_catalogue

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "conf").glob("*.yaml")),
]
COMMAND = re.compile(r"^\s*python (train|evaluate)\.py (.+)$", re.MULTILINE)
FOUND = [
    pytest.param(name, words.strip(), id=f"{document.name}: {words.strip()[:60]}")
    for document in DOCUMENTS
    for name, words in COMMAND.findall(document.read_text(encoding="utf-8").replace("\\\n", " "))
]


def without_comment(words: str) -> str:
    return re.sub(r"\s+#.*$", "", words)


def test_there_are_commands():
    assert len(FOUND) >= 8


@pytest.mark.parametrize(("name", "words"), FOUND)
def test_no_shell_takes_a_value_for_a_pattern(name, words):
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", without_comment(words))
    assert not re.search(r"[\[\]*?(){}$!~<>|&;]", unquoted), f"quote this for bash and zsh: {unquoted}"


@pytest.mark.parametrize(("name", "words"), FOUND)
def test_the_values_compose(name, words):
    register_catalogue()
    overrides = [word for word in shlex.split(without_comment(words)) if not word.startswith("-")]
    parsed = OverridesParser.create().parse_overrides(overrides)
    chosen = [
        f"{one.get_key_element()}={next(iter(one.sweep_string_iterator()))}" if one.is_sweep_override() else typed
        for one, typed in zip(parsed, overrides, strict=True)
    ]
    # Methods and styles of one's own that the documents write; they are trained in tests/integration/test_commands.py.
    own = ("strategy=cosine_softmax", "strategy=m3l_in_turn", "memory_style=shuffle")
    chosen = [word for word in chosen if not word.startswith(own)]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose(name, overrides=chosen)
    assert OmegaConf.to_container(config, resolve=True)


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
