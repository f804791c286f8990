"""Every row of the table of bad input names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (
    (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").partition("\n## Bad input\n")[2].split("\n## ")[0]
)
ROWS = [line for line in SECTION.splitlines() if line.startswith("| ")][2:]
NAMED = sorted(set(re.findall(r"`(test_\w+)\.py::(test_\w+)`", SECTION)))


def test_every_row_names_a_test():
    assert len(ROWS) >= 50
    assert [row for row in ROWS if "::test_" not in row and not row.startswith("| **")] == []


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_the_tests_exist(file, test):
    (path,) = (ROOT / "tests").rglob(f"{file}.py")
    assert re.search(rf"^ *def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
