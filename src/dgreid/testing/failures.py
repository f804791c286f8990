"""What a check that fails says."""

from __future__ import annotations

from typing import NamedTuple


class CheckError(AssertionError):
    """A strategy breaks the contract; the message says what is wrong, and why it matters."""


class Outcome(NamedTuple):
    """What came of one check.

    Attributes:
        check: its name.
        passed: whether the contract holds.
        detail: why not; or what the strategy refuses, in its own words; empty where there is nothing to say.
    """

    check: str
    passed: bool
    detail: str = ""


def require(holds: bool, message: str) -> None:
    """Fails with a message unless something holds.

    Raises:
        CheckError: it does not.
    """
    if not holds:
        raise CheckError(message)


def some(names: list[str], shown: int = 4) -> str:
    """The first few of some names."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
