"""The site of the documents builds without a warning, and asks nothing of any network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from written_commands import ROOT

import dgreid

EXTERNAL = re.compile(r"(https?:)?//")
IN_CSS = re.compile(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)")
LOADING = {
    "script": ["src"], "img": ["src", "srcset"], "iframe": ["src"], "source": ["src", "srcset"], "video": ["src"],
    "audio": ["src"], "embed": ["src"], "object": ["data"], "use": ["href", "xlink:href"], "image": ["href"],
    "input": ["src"], "track": ["src"],
}  # fmt: skip
LOADING_LINKS = {"stylesheet", "icon", "preconnect", "preload", "dns-prefetch", "prefetch", "manifest", "modulepreload"}


class Loaded(HTMLParser):
    """What a page makes a browser load, and what of it comes from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        names = LOADING.get(tag, [])
        if tag == "link" and set((values.get("rel") or "").split()) & LOADING_LINKS:
            names = ["href"]
        self.loaded += [values[name] for name in names if values.get(name)]
        self.loaded += [found for pair in IN_CSS.findall(values.get("style") or "") for found in pair if found]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.slow
def test_every_document_is_a_page(site):
    documents = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages = {path.relative_to(site) for path in site.rglob("*.html")}
    assert documents <= pages
    assert len(pages) >= 25


@pytest.mark.slow
def test_every_name_at_the_top_level_is_explained(site):
    pages = "".join(page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html"))
    for name in set(dgreid.__all__) - {"__version__"}:
        value = getattr(dgreid, name)
        assert f'id="{value.__module__}.{value.__qualname__}"' in pages, name


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        parser = Loaded()
        parser.feed(page.read_text(encoding="utf-8"))
        assert len(parser.loaded) >= 3  # its own style sheets and scripts: the parser sees what is loaded
        assert [place for place in parser.loaded if EXTERNAL.match(place)] == [], page
        for place in parser.loaded:
            path = place.partition("?")[0].partition("#")[0]
            if path and not path.startswith("data:"):
                assert (page.parent / path).exists() or (site / path.lstrip("/")).exists(), (page, place)


@pytest.mark.slow
def test_style_sheets_load_nothing_from_elsewhere(site):
    sheets = list(site.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        for pair in IN_CSS.findall(sheet.read_text(encoding="utf-8")):
            assert not EXTERNAL.match("".join(pair)), sheet


@pytest.mark.slow
def test_nothing_is_left_of_the_source(site):
    """No formula, list or reference stands in a page as it was typed."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        parser = Loaded()
        parser.feed(re.sub(r"<(script|style|pre|code|annotation)\b.*?</\1>", "", text, flags=re.DOTALL))
        words = "".join(parser.words)
        for left in (r"\(", r"\frac", "$$", ":class:", ":func:", "](", "\n* ", "```"):
            assert left not in words, (page, left)
        assert "arithmatex" not in text, page
