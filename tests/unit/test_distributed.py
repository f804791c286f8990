"""With one process each function is the identity; with two, rows come in rank order and sums are equal."""

from __future__ import annotations

import multiprocessing
import tempfile

import torch
import torch.distributed as dist

from dgreid.distributed import gather_rows, rank_and_world_size, sum_over_ranks


def test_one_process():
    rows = torch.randn(3, 2)
    assert rank_and_world_size() == (0, 1)
    assert gather_rows(rows) is rows
    assert sum_over_ranks(rows) is rows


def on_rank(rank, meeting, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    rows = torch.arange(4.0).reshape(2, 2).t() + 10 * rank  # not contiguous
    total = sum_over_ranks(rows)
    results.put((rank, rank_and_world_size(), gather_rows(rows).tolist(), total.tolist(), rows.tolist()))
    dist.destroy_process_group()


def test_two_processes():
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=on_rank, args=(rank, f"{folder}/meet", results)) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=60)
        assert [process.exitcode for process in processes] == [0, 0]
    for _ in range(2):
        rank, place, gathered, total, own = results.get()
        assert place == (rank, 2)
        assert gathered == [[0, 2], [1, 3], [10, 12], [11, 13]]
        assert total == [[10, 14], [12, 16]]
        assert own == gathered[2 * rank : 2 * rank + 2]
