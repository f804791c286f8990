"""Formulas as MathML, which browsers draw by themselves: no script, nothing from elsewhere."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', re.DOTALL)


def on_page_content(text: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Converts what pymdownx.arithmatex has marked; formulas beside each other may stand below each other."""
    return FORMULA.sub(_mathml, text)


def _mathml(found: re.Match[str]) -> str:
    tag, latex = found[1], html.unescape(found[2])
    if tag == "span":
        return f'<span class="formula">{convert(latex)}</span>'
    formulas = "".join(f"<div>{convert(part, display='block')}</div>" for part in latex.split(r"\qquad"))
    return f'<div class="formula">{formulas}</div>'
