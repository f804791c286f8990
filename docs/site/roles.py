"""Names in docstrings, written as ``:class:`~package.Name```, as links to where the site explains them."""

from __future__ import annotations

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

ROLE = re.compile(r":(?:class|func|meth|mod|attr):<code>(~?)([\w.]+)</code>")


def on_page_content(text: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns each into what mkdocs-autorefs resolves; a name that the site does not explain stays code."""
    return ROLE.sub(_reference, text)


def _reference(found: re.Match[str]) -> str:
    name = found[2]
    shown = name.rpartition(".")[2] if found[1] else name
    return f'<autoref identifier="{name}" optional><code>{shown}</code></autoref>'
