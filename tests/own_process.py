"""Functions in a process of their own: for what leaves traces in a process, such as torch's record of lost workers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

SECONDS = 240  # until it counts as hanging


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns, called in a fresh process that may have children."""
    as_here = (multiprocessing.get_start_method(), True)  # its own children start as those of this process do
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), initializer=multiprocessing.set_start_method, initargs=as_here
    ) as pool:
        return pool.submit(function, *arguments).result(timeout=SECONDS)
