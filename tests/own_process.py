"""Functions in a process of their own: for what leaves traces in a process, such as torch's record of lost workers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

SECONDS = 240  # until it counts as hanging


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns, called in a fresh process that may have children."""
    method, fresh = multiprocessing.get_start_method(), multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, initializer=_start_children_by, initargs=(method,)) as pool:
        return pool.submit(function, *arguments).result(timeout=SECONDS)


def _start_children_by(method: str) -> None:
    """Lets children start as those of the first process do, not as this one did."""
    multiprocessing.set_start_method(method, force=True)
