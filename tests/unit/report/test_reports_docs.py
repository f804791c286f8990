"""What docs/reports.md says of options, rows and states is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dgreid.report.__main__ import main
from dgreid.report.published import all_published
from dgreid.report.states import STATES
from dgreid.report.writing import FORMATS

TEXT = (Path(__file__).parents[3] / "docs" / "reports.md").read_text(encoding="utf-8")


def test_the_options(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    there = set(re.findall(r"^  (--[a-z]+)", capsys.readouterr().out, re.MULTILINE))
    assert there == set(re.findall(r"^\| `(--[a-z]+)", TEXT, re.MULTILINE))


def test_the_states():
    assert tuple(re.findall(r"^\| (\w+) \|", TEXT.partition("## How far")[2], re.MULTILINE))[1:] == STATES


def test_the_files():
    assert set(re.findall(r"^\| `(report\.\w+)`", TEXT, re.MULTILINE)) == set(FORMATS.values())


def test_the_number_of_published_rows():
    assert f"{len(all_published())} rows" in TEXT
