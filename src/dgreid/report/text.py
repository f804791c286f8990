"""Text from files and folders, made harmless: nothing in it can steer a terminal or change a document."""

from __future__ import annotations

import re

LONGEST = 300
# What means something wherever it stands, underscores at the ends of words, and brackets that would make a link.
MARKDOWN = re.compile(r"([\\`*<>|#~!&]|(?<!\w)_|_(?!\w)|\](?=[(\[:]))")
# Latin letters with accents, without the eight that LaTeX does not know by itself.
ACCENTED = {chr(code) for code in range(0xC0, 0x17F)} - set("\u0126\u0127\u0138\u013f\u0140\u0149\u0166\u0167")
MINUS = re.compile(r"(?<![\w.])-(?=\d)")
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "→": r"$\to$", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    "[": "{[}", "*": "{*}",  # behind the end of a table's line they would be its option
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
    """As LaTeX that shows these very signs; those that fonts for European languages lack become ``?``."""
    shown = "".join(LATEX.get(sign, sign if sign.isascii() or sign in ACCENTED else "?") for sign in plain(text))
    return MINUS.sub("$-$", shown)


def table_value(text: str) -> str:
    """As a value of CSV that no spreadsheet takes for a formula."""
    shown = plain(text)
    return f"'{shown}" if shown.startswith(FORMULA) and not _is_number(shown) else shown


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]\d+)?", text) is not None
