"""Processes that stand still are replaced once, and nothing of what they owed is lost; then the iteration ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest
import torch
from own_process import in_own_process
from torch.utils.data import Dataset

from dgreid.data import bounded_loader
from dgreid.data.bounded_loader import BatchOrder, BoundedLoader
from dgreid.data.loading import batch_loader
from dgreid.data.lost_workers import lost_worker


class Stuck(Dataset):
    """One item takes so many seconds and signals do not reach it, as where a thread holds a lock for good.

    Args:
        item: which; with a folder, only for the process that comes to it first.
    """

    def __init__(self, item, seconds, folder=None):
        self.item, self.seconds, self.folder = item, seconds, folder

    def __getitem__(self, index):
        if index == self.item and self.is_first():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            time.sleep(self.seconds)
        return torch.full((1,), float(index))

    def is_first(self):
        try:
            return self.folder is None or (self.folder / "stuck").mkdir() is None
        except FileExistsError:
            return False


def loaded(waits, dataset, workers=1, batches=(0, 1, 2, 3), iterations=1, persistent=False):
    """The batches of each iteration, what is said, and which processes are left."""
    bounded_loader.FIRST_WAIT, bounded_loader.SECOND_WAIT = waits
    loader = batch_loader(dataset, batches, workers, persistent=persistent)
    found, message = [], ""
    try:
        for _ in range(iterations):
            found.append([])
            for batch in loader:
                found[-1].append(float(batch))
    except RuntimeError as error:
        message = lost_worker(error) or repr(error)
    del loader
    return found, message, [process.join(60) or process.is_alive() for process in multiprocessing.active_children()]


@pytest.mark.parametrize(("workers", "persistent", "item"), [(1, False, 2), (1, True, 6), (3, False, 0), (3, True, 4)])
def test_one_that_stands_still_is_replaced_and_nothing_is_lost(workers, persistent, item, tmp_path, capfd):
    stuck = Stuck(item, 3600.0, tmp_path)
    found, message, alive = in_own_process(loaded, (4.0, 60.0), stuck, workers, range(7), 3, persistent)
    assert found == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]] * 3
    assert message == ""
    assert not any(alive)
    said = capfd.readouterr().err
    assert "has not answered for 4 s and is replaced" in said
    assert "in __getitem__" in said, "where it stood"


def test_one_that_stands_still_again_is_told_and_ended():
    found, message, alive = in_own_process(loaded, (5.0, 10.0), Stuck(2, 3600.0))
    assert found == [[0.0, 1.0]]
    assert message.startswith("a process that loads images does not answer: ")
    assert not any(alive)


def test_one_that_takes_long_is_waited_for_longer_the_second_time():
    assert in_own_process(loaded, (4.0, 20.0), Stuck(2, 8.0))[:2] == ([[0.0, 1.0, 2.0, 3.0]], "")


def held_up_between_epochs(folder):
    """Two iterations of a persistent loader whose process was stopped between them, as by a debugger."""
    bounded_loader.FIRST_WAIT, bounded_loader.SECOND_WAIT = 4.0, 60.0
    loader = batch_loader(Stuck(-1, 0.0), range(4), 1, persistent=True)
    first = [float(batch) for batch in loader]
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGSTOP)
    return first, [float(batch) for batch in loader]


def test_one_that_does_not_begin_an_epoch_is_replaced(tmp_path):
    assert in_own_process(held_up_between_epochs, tmp_path) == ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0])


def test_iterations_side_by_side_do_not_disturb_each_other():
    loader = batch_loader(Stuck(-1, 0.0), range(5), 1)
    assert [(float(a), float(b)) for a, b in zip(loader, loader, strict=True)] == [(i, i) for i in map(float, range(5))]


def test_the_order_is_as_long_as_its_batches():
    assert len(BatchOrder([1, 2])) == 2
    with pytest.raises(TypeError):
        len(BatchOrder(iter([1])))
    assert len(batch_loader(Stuck(-1, 0.0), [1, 2, 3], 0)) == 3


def test_an_iteration_that_is_taken_up_asks_first_for_what_has_not_come():
    order = BatchOrder("abcdef")
    iteration = order.begin()
    order.iteration = iteration
    assert [next(asked) for asked in [iter(order)] * 4] == list("abcd")
    iteration.asked.popleft()
    assert "".join(order) == "bcdef"
    assert "".join(BatchOrder("ab")) == "ab"


def test_batches_of_this_process_come_without_a_bound():
    loader = batch_loader(Stuck(-1, 0.0), range(3), 0)
    assert isinstance(loader, BoundedLoader)
    assert [float(batch) for batch in loader] == [0.0, 1.0, 2.0] == [float(batch) for batch in loader]
