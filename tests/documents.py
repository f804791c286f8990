"""The code that documents hold, for tests that run it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def code_blocks(document: str, language: str, title: str | None = None) -> list[str]:
    """The fenced blocks of one language, of a whole document or of one section.

    Args:
        document: its path in the repository.
        language: as after the opening fence.
        title: of the section, without signs; it ends at the next one of its own or a higher level.
    """
    text = (ROOT / document).read_text(encoding="utf-8")
    if title is not None:
        (start,) = re.finditer(rf"^(##+) {re.escape(title)}\n", text, flags=re.MULTILINE)
        rest = text[start.end() :]
        end = re.search(rf"^##{{1,{len(start[1]) - 1}}} ", rest, flags=re.MULTILINE)
        text = rest[: end.start()] if end else rest
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
