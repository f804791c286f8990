"""Functions on several processes of one group, on the CPU, within a test."""

from __future__ import annotations

import multiprocessing
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

SECONDS = 120


def on_processes(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What a function returns on each rank of a group of so many processes; with one process there is no group.

    Args:
        count: of processes, forked from this one.
        function: called with the arguments; what it returns is pickled, tensors as arrays.
        arguments: the same on every rank.

    Raises:
        AssertionError: a rank failed, with its stack, or did not answer in two minutes.
    """
    if count == 1:
        return [function(*arguments)]
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        pipes = [context.Pipe(duplex=False) for _ in range(count)]
        processes = [
            context.Process(target=_on_rank, args=(rank, count, folder, pipes[rank][1], function, arguments))
            for rank in range(count)
        ]
        for process in processes:
            process.start()
        try:
            outcomes = [receiver.recv() if receiver.poll(SECONDS) else (False, "no answer") for receiver, _ in pipes]
        finally:
            for process in processes:
                process.join(timeout=10)
                process.kill()
    failures = [f"rank {rank}: {outcome}" for rank, (well, outcome) in enumerate(outcomes) if not well]
    if failures:  # all of them: the first may only have lost its connection to another
        raise AssertionError("\n".join(failures))
    return [outcome for _, outcome in outcomes]


def _on_rank(rank: int, count: int, folder: str, sender: Any, function: Callable[..., Any], arguments: Any) -> None:
    torch.set_num_threads(1)
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count)
        outcome = (True, function(*arguments))
        if dist.is_initialized():  # a whole run ends its group itself
            dist.barrier()
            dist.destroy_process_group()
    except BaseException:
        outcome = (False, traceback.format_exc())
    sender.send(outcome)
