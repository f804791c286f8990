"""A run of two processes that broke off within an epoch and goes on is the run that did not, for each strategy."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import pytest
from interrupted_runs import BrokenOffError, assert_same_run, at_step, break_off, checkpoint
from process_groups import on_processes
from small_runs import strategies, train_small

from dgreid.distributed import rank_and_world_size

pytestmark = pytest.mark.slow

RUN = (
    "epochs=3", "steps_per_epoch=4", "optim.lr=1e-3", "data.transform.random_erasing=0.5", "data.workers=2",
    "data.identities_per_batch=4", "trainer=ddp", "trainer.devices=2", "checkpoint_every=1 step",
)  # fmt: skip


def train_on_rank(data_root, folder, port, break_at, *overrides):
    """Trains on one rank, up to a step in the middle of which all ranks break off."""
    rank, processes = rank_and_world_size()
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {name: str(value) for name, value in {**place, "MASTER_PORT": port}.items()}
    with pytest.MonkeyPatch.context() as patch, suppress(BrokenOffError):
        if break_at is not None:
            at_step(patch, break_at, "training_step", break_off)
        try:
            train_small(data_root, folder, *RUN, *overrides)
        except RuntimeError as error:  # the other rank has broken off already
            if break_at is None or "Connection closed by peer" not in str(error):
                raise


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("statistics", ["global", "local"])
@pytest.mark.parametrize("strategy", strategies())
def test_two_processes_go_on_as_if_nothing_had_happened(strategy, statistics, data_root, tmp_path):
    overrides = (f"strategy={strategy}", f"batch_statistics={statistics}")
    for folder, break_at in (("whole", None), ("run", 6)):
        on_processes(2, train_on_rank, data_root, tmp_path / folder, free_port(), break_at, *overrides)
    assert checkpoint(tmp_path / "run")["global_step"] == 6
    on_processes(2, train_on_rank, data_root, tmp_path / "run", free_port(), None, *overrides, "resume=auto")
    assert_same_run(tmp_path / "run", tmp_path / "whole", 12)
