"""A loading process that is killed ends an iteration with a message."""

from __future__ import annotations

import os
import signal
from multiprocessing import resource_sharer

import pytest
import torch
from own_process import in_own_process
from torch.utils.data import Dataset

from dgreid.data.loading import batch_loader
from dgreid.data.lost_workers import lost_worker


class Fatal(Dataset):
    """Its third item ends whoever loads it, as the system does where memory runs out."""

    def __getitem__(self, index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1)


def load_until_it_fails():
    """What is said. To be called in a process of its own: torch may raise such an error again at any later line."""
    try:
        try:
            list(batch_loader(Fatal(), [0, 1, 2, 3], workers=1))
        except OSError as error:  # its connection broke, and torch says why at any later line
            return lost_worker(error) or repr(error)
    except RuntimeError as error:
        return lost_worker(error) or repr(error)


def test_a_killed_worker_is_told_and_nothing_hangs():
    message = in_own_process(load_until_it_fails)
    assert message.startswith("a process that loads images is gone (")
    assert "fewer data.workers" in message


def test_one_that_leaves_by_itself_is_told():
    error = RuntimeError("DataLoader worker (pid(s) 12, 13) exited unexpectedly with exit code 1.")
    assert "(exited unexpectedly)" in lost_worker(error)
    outer = ValueError("else")
    outer.__cause__ = error
    assert lost_worker(outer) == lost_worker(error)


def test_one_that_is_gone_before_its_batch_came_over_is_told():
    """Its socket is closed while torch does not know yet that it is."""
    with pytest.raises(OSError, match=r"refused|No such file") as caught:
        resource_sharer._ResourceSharer.get_connection(("/nowhere/socket", 1))
    assert "(its connection broke)" in lost_worker(caught.value)
    assert lost_worker(ConnectionResetError("of something else")) is None


def test_other_errors_are_none_of_its_business():
    assert lost_worker(RuntimeError("shapes do not fit")) is None
    assert lost_worker(ValueError("DataLoader worker (pid 1) is killed by signal: Killed.")) is None
