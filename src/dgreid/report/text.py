"""Text from files and folders, made harmless: nothing in it can steer a terminal or change a document."""

from __future__ import annotations

import re

LONGEST = 300
# What means something wherever it stands, underscores at the ends of words, and brackets that would make a link.
MARKDOWN = re.compile(r"([\\`*<>|#~!&]|(?<!\w)_|_(?!\w)|\](?=[(\[:]))")
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "→": r"$\to$", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
}  # fmt: skip
FORMULA = ("=", "+", "-", "@", "|", "%", "\t", "\r", "\n")


def plain(text: str) -> str:
    """One line of printable text: control characters and bytes that are no text become ``?``; cut where too long."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."


def markdown(text: str) -> str:
    """As Markdown that shows these very signs."""
    return MARKDOWN.sub(r"\\\1", plain(text))


def latex(text: str) -> str:
    """As LaTeX that shows these very signs; those that no standard font has become ``?``."""
    return "".join(LATEX.get(sign, sign if sign.isascii() or sign.isalpha() else "?") for sign in plain(text))


def table_value(text: str) -> str:
    """As a value of CSV that no spreadsheet takes for a formula."""
    shown = plain(text)
    return f"'{shown}" if shown.startswith(FORMULA) and not _is_number(shown) else shown


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]\d+)?", text) is not None
