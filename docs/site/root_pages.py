"""Documents of the repository's root as pages of the site, with links that lead to pages either way."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT_PAGES = {"SECURITY.md": "security.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"\]\(([^)\s]+)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds a page for each of the root's documents."""
    root = Path(config.config_file_path).parent
    for source, page in ROOT_PAGES.items():
        text = LINK.sub(lambda found: f"]({_from_root(found[1])})", (root / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links to the root's documents, such as ``../SECURITY.md``, into links to their pages."""
    up = "../" * page.file.src_uri.count("/")
    return LINK.sub(lambda found: f"]({_to_root(found[1], up)})", markdown)


def _from_root(link: str) -> str:
    path, anchor = _parts(link)
    return ROOT_PAGES.get(path, path.removeprefix("docs/")) + anchor


def _to_root(link: str, up: str) -> str:
    path, anchor = _parts(link)
    name = path.removeprefix(f"../{up}")
    return up + ROOT_PAGES[name] + anchor if path != name and name in ROOT_PAGES else link


def _parts(link: str) -> tuple[str, str]:
    path, hash_sign, anchor = link.partition("#")
    return path, hash_sign + anchor
