"""Which GPUs a job of a sweep takes where several jobs run at once on one machine."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

VISIBLE = "CUDA_VISIBLE_DEVICES"


@contextmanager
def own_gpus(count: int, locks: Path) -> Iterator[dict[str, str]]:
    """Takes GPUs that no other job of the sweep has, until the block ends; the system gives back those of the killed.

    Where there are more jobs than GPUs, they are shared evenly.

    Args:
        count: how many the job needs.
        locks: folder of the sweep's locks.

    Yields:
        What to set in the environment of the job's processes; nothing on a machine with fewer GPUs.
    """
    names = visible_gpus()
    if not 0 < count <= len(names):
        yield {}
        return
    for turn in itertools.count():
        with ExitStack() as taken:
            free = (name for name in names if _take(locks / f"gpu-{name.replace('/', '_')}-{turn}.lock", taken))
            mine = list(itertools.islice(free, count))
            if len(mine) == count:
                yield {VISIBLE: ",".join(mine)}
                return


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    count = torch.cuda.device_count()
    named = os.environ.get(VISIBLE)
    names = [str(number) for number in range(count)] if named is None else named.split(",")
    return [name.strip() for name in names][:count]


def _take(file: Path, taken: ExitStack) -> bool:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        taken.enter_context(FileLock(file).acquire(blocking=False))
    except Timeout:
        return False
    return True
