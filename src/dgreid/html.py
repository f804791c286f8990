"""Pages of one file: they open from disk, ask no network for anything and run no script but their own."""

from __future__ import annotations

import base64
import hashlib
from html import escape


def html_page(title: str, style: str, body: str, script: str = "") -> str:
    """A whole page.

    Args:
        title: of the window.
        style: CSS.
        body: HTML, in which all that is not the program's own is escaped already.
        script: JavaScript that runs when the page is there; a browser runs this text and no other.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        policy += f"; script-src 'sha256-{digest}'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body}
{f"<script>{script}</script>{chr(10)}" if script else ""}</body>
</html>
"""
