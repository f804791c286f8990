"""Functions on several processes of one group, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from dgreid.distributed import rank_and_world_size
from dgreid.testing import process_groups


def on_processes(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """As ``dgreid.testing`` has it; Lightning knows the rank, too, as in processes that are launched."""
    return process_groups.on_processes(count, _knowing_its_rank, function, *arguments)


def _knowing_its_rank(function: Callable[..., Any], *arguments: Any) -> Any:
    rank, count = rank_and_world_size()
    if count > 1:  # Lightning reads it when it is imported: then this was the only process
        rank_zero_only.rank = rank
    return function(*arguments)
