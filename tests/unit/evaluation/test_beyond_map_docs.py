"""The example of the page's section on figures beyond mAP runs as it stands, after the one before it."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "evaluation.md"


def test_the_figures_beyond_map_run_as_the_page_shows_them(capsys):
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for heading in ("## Three entries", "## Beyond mAP"):
        (code,) = re.findall(r"```python\n(.*?)```", page.split(heading)[1].split("\n## ")[0], re.DOTALL)
        capsys.readouterr()
        exec(compile(code, str(PAGE), "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    for line, key in zip(lines, ("'TAR@FAR=1e-4': None", "single_shot_rank1", "'rank1': ", "'FPIR': 0."), strict=True):
        assert key in line
