"""Links between the documents lead to files and headings that exist, as the repository shows them."""

from __future__ import annotations

import re

import pytest
from pymdownx.slugs import slugify
from written_commands import DOCUMENTS, ROOT

LINK = re.compile(r"(?<!`)!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
SLUG = slugify(case="lower")


def prose(path):
    return FENCED.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """Of each heading, as both the repository's pages and the site name it."""
    return {SLUG(re.sub(r"[`*]", "", heading), "-") for heading in HEADING.findall(prose(path))}


LINKS = [
    pytest.param(document, link, id=f"{document.relative_to(ROOT)} {link}")
    for document in DOCUMENTS
    for link in dict.fromkeys(LINK.findall(prose(document)))
    if not link.startswith(("http://", "https://"))
]


def test_there_are_links():
    assert len(LINKS) >= 100


@pytest.mark.parametrize(("document", "link"), LINKS)
def test_it_leads_somewhere(document, link):
    path, _, anchor = link.partition("#")
    place = (document.parent / path).resolve() if path else document
    assert place.exists(), f"no {place}"
    assert place.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(place), sorted(anchors(place))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lists_and_tables_stand_apart_from_text(document):
    """The site needs an empty line before them; without it they run on as text."""
    lines = prose(document).splitlines()
    starts = re.compile(r"(\* |- |\d+\. |\|)")
    for before, line in zip(["", *lines], lines, strict=False):
        begins = starts.match(line) is not None
        assert not begins or not before.strip() or starts.match(before) or before.startswith((" ", "#")), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_are_whole(document):
    """A row that stands alone after an empty line belongs to no table."""
    lines = ["", *prose(document).splitlines(), ""]
    rows = [
        number for number, line in enumerate(lines) if line.startswith("|") and not lines[number - 1].startswith("|")
    ]
    for number in rows:
        assert re.fullmatch(r"\|[ :|-]+\|", lines[number + 1]), lines[number]
