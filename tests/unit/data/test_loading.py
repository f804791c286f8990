"""Shards cover the images, and workers are shared out."""

import multiprocessing

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from own_process import in_own_process
from torch.utils.data import Dataset

from dgreid.data.loading import ShardBatches, batch_loader, share_workers
from dgreid.errors import InputError


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_shards_hold_each_image_once(size, batch_size, world_size):
    assume(size >= world_size)
    shards = [
        [i for batch in ShardBatches(size, batch_size, rank=r, world_size=world_size) for i in batch]
        for r in range(world_size)
    ]
    assert sorted(index for shard in shards for index in shard) == list(range(size))


def test_ranks_beyond_the_images_have_one_too():
    shards = [list(ShardBatches(3, 2, rank=rank, world_size=5)) for rank in range(5)]
    assert shards == [[[0]], [[1]], [[2]], [[0]], [[1]]]


def test_an_empty_batch_size_is_refused():
    with pytest.raises(InputError, match="test_batch_size=0 must be at least 1"):
        ShardBatches(3, 0, rank=0, world_size=1)


@given(st.integers(0, 64), st.integers(1, 5), st.integers(1, 4))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_workers_are_a_total(total, loaders, world_size):
    shares = share_workers(total, loaders, world_size)
    assert len(shares) == loaders
    assert sum(shares) == total // world_size
    assert max(shares) - min(shares) <= 1


def test_four_workers_over_three_sources():
    assert share_workers(4, 3) == [2, 1, 1]
    with pytest.raises(InputError, match="workers=-1 must not be negative"):
        share_workers(-1, 2)


class Squares(Dataset):
    def __getitem__(self, numbers):
        return torch.tensor(numbers) ** 2


@pytest.mark.parametrize("workers", [0, 2])
def test_items_come_in_order_and_leave_torch_s_generator_alone(workers):
    loader = batch_loader(Squares(), [[1, 2], [3], [4, 5, 6]], workers)
    state = torch.get_rng_state()
    assert [item.tolist() for item in loader] == [[1, 4], [9], [16, 25, 36]]
    assert torch.equal(torch.get_rng_state(), state)


def processes_left(taken):
    batches = iter(batch_loader(Squares(), [[1], [2], [3]], workers=2))
    for _ in range(taken):
        next(batches)
    return len(multiprocessing.active_children())


def test_who_counts_batches_is_left_with_no_processes():
    """As Lightning does, which would keep those of an evaluation through the next epochs."""
    assert in_own_process(processes_left, 2) == 2
    assert in_own_process(processes_left, 3) == 0
