"""``import dgreid`` is light, its names are those that the stub gives types to, and a user's script type-checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from documents import ROOT, code_blocks

import dgreid

PACKAGE = ROOT / "src" / "dgreid"
SCRIPT = """
import dgreid

def compare(folder: str) -> float:
    run = dgreid.load_run(folder)
    one, other = dgreid.embed_images(run, ["one.jpg", "other.jpg"])
    return float(one @ other)

class Mine(dgreid.FB):
    def savings(self) -> list[str]:
        return []

reveal_type(compare("runs/demo"))
reveal_type(dgreid.M3L(order="first"))
dgreid.M3L(order="third")
dgreid.no_such_name
"""


def test_every_name_is_found_where_it_lives():
    for name, home in dgreid._HOME_OF.items():
        value = getattr(dgreid, name)
        assert getattr(value, "__name__", name) == name
        assert value.__module__.startswith("dgreid."), (name, home)


def test_the_stub_has_the_same_names_from_the_same_places():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(alias.asname == alias.name for node in imports for alias in node.names)
    assert {alias.name: node.module for node in imports for alias in node.names} == dgreid._HOME_OF


def test_names_are_listed_once_and_a_wrong_one_is_an_attribute_error():
    assert len(set(dgreid.__all__)) == len(dgreid.__all__)
    assert set(dgreid.__all__) <= set(dir(dgreid))
    with pytest.raises(AttributeError, match="module 'dgreid' has no attribute 'no_such_name'"):
        dgreid.no_such_name  # noqa: B018


def test_importing_the_package_does_not_even_load_torch():
    code = "import dgreid, sys; print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_library_page_names_them_all():
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert sorted(named) == sorted(dgreid._HOME_OF)
    assert code_blocks("docs/library.md", "python")[0].strip() == "import dgreid"


@pytest.mark.slow  # mypy reads torch
def test_a_small_script_of_a_user_is_type_checked(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'Revealed type is "float"' in done.stdout
    assert 'Revealed type is "dgreid.strategies.m3l.M3L"' in done.stdout
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 2, done.stdout
    assert "incompatible type \"Literal['third']\"" in errors[0]
    assert 'has no attribute "no_such_name"' in errors[1]
