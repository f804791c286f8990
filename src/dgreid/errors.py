"""Errors that a user can mend: each message gives the value, the rule and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave is wrong. The commands print the message without a stack and exit with code 1."""


def nearest(name: str, options: Iterable[str]) -> str:
    """A hint for a mistyped name.

    Args:
        name: what the user typed.
        options: the names that exist.

    Returns:
        ``"did you mean 'fbf'? "`` followed by all options, or the options alone if none is close.
    """
    known = sorted(options)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}known: {', '.join(known)}"


def check_one_of(key: str, value: object, options: Iterable[str]) -> None:
    """A value must be among the options that exist.

    Raises:
        InputError: it is not; the message begins with ``<key>=<value>``.
    """
    known = list(options)
    if value not in known:
        raise InputError(f"{key}={value}: {nearest(str(value), known)}")
