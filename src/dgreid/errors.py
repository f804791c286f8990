"""Errors that a user can mend: each message gives the value, the rule and the way out."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterable


class InputError(ValueError):
    """Something the user gave is wrong. The commands print the message without a stack and exit with code 1."""


def own_message(error: Exception) -> str | None:
    """The message of an :class:`InputError`; None for any other error."""
    return str(error) if isinstance(error, InputError) else None


def exit_code(work: Callable[[], int | None], message_of: Callable[[Exception], str | None] = own_message) -> int:
    """Runs a command; what the user can mend, or has stopped, ends in a line instead of a stack.

    Args:
        work: the command; what it returns is the exit code, None is 0.
        message_of: what to tell of an error, None where the user cannot mend it.

    Returns:
        The exit code for the shell: 1 after an error that was told, 130 after the keyboard's Ctrl-C, 141 where nobody
        reads on what is printed, as after ``| head``.
    """
    try:
        code = work() or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("stopped by the keyboard", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        return 141
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 1


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
