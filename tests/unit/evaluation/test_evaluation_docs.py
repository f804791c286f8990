"""The examples of the page on evaluation run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "evaluation.md"


def test_the_three_entries_run_as_the_page_shows_them(capsys):
    section = PAGE.read_text(encoding="utf-8").split("## Three entries")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert "'mAP': " in capsys.readouterr().out
    assert names["result"].mean_average_precision == names["from_matrix"].mean_average_precision
    assert 0 < names["from_blocks"].mean_average_precision <= 1
