"""What documents tell their readers to type, and the files that they write beside it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_TEXT = re.compile(r"`((?:python|make) [^`]+)`")
IN_HELP = re.compile(r"^ *(python train\.py .+|python evaluate\.py .+|python -m dgreid\..+)$", re.MULTILINE)
WRITTEN_YAML = re.compile(r"`([\w./]+\.yaml)`[^\n]*\n\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GROUPS = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}


class Written(NamedTuple):
    """One command: where it stands, and the line as it stands there."""

    place: str
    line: str

    @property
    def words(self) -> list[str]:
        """As a shell splits them, without comment and without values of the environment before it."""
        words = shlex.split(self.line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        return words


class Block(NamedTuple):
    """A fenced block: where it stands, its language, its text."""

    place: str
    language: str
    text: str


def blocks() -> Iterator[Block]:
    """All fenced blocks of all documents."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(f"{document.relative_to(ROOT)}:{line}", found[1], found[2])


def commands() -> Iterator[Written]:
    """Each command of the blocks for a shell, of names in running text, and of the help of the programs."""
    for block in blocks():
        if block.language == "bash":
            for line in block.text.replace("\\\n", " ").splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    yield Written(block.place, line.strip())
    for document in DOCUMENTS:
        text = FENCE.sub("", document.read_text(encoding="utf-8"))
        for found in IN_TEXT.findall(text):
            yield Written(f"{document.relative_to(ROOT)}", " ".join(found.split()))
    for file in sorted((ROOT / "conf").glob("*.yaml")):
        for found in IN_HELP.findall(file.read_text(encoding="utf-8")):
            yield Written(f"conf/{file.name}", found)


def write_groups(folder: Path) -> None:
    """Writes the files of configuration that documents tell their readers to write, as groups of a search path."""
    for document in DOCUMENTS:
        for name, text in WRITTEN_YAML.findall(document.read_text(encoding="utf-8")):
            parts = Path(name).parts
            group = next(index for index, part in enumerate(parts) if part in GROUPS)
            path = folder.joinpath(*parts[group:])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
