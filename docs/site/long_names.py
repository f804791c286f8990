"""Long names in tables, such as those of tests and folders, may be broken at their signs, and only there."""

from __future__ import annotations

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

LONG = re.compile(r"(?<=<code>)[^<>\n]{20,}(?=</code>)")
SIGN = re.compile(r"(::|[_/.=,+])(?=\w)")


def on_page_content(text: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adds a place to break after each sign of a long name."""
    return LONG.sub(lambda found: SIGN.sub(r"\1<wbr>", found[0]), text)
