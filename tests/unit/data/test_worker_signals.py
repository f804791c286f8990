"""Workers stay when all processes of a run are signalled, but not for ever."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from dgreid.data import worker_signals
from dgreid.data.worker_signals import outlive_signals


@pytest.fixture
def worker():
    """A process that answers what it is asked."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def work():
        outlive_signals(0)
        theirs.send("ready")
        while True:
            theirs.send(theirs.recv())

    process = context.Process(target=work)
    process.start()
    assert ours.recv() == "ready"
    yield process, ours
    process.kill()
    process.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signalled_worker_goes_on(worker, number):
    process, pipe = worker
    os.kill(process.pid, number)
    time.sleep(0.1)
    pipe.send("work")
    assert pipe.recv() == "work"


def test_nobody_has_to_wait_for_ever(monkeypatch, request):
    monkeypatch.setattr(worker_signals, "SECONDS", 0.05)
    process, _ = request.getfixturevalue("worker")
    process.terminate()
    process.join(timeout=30)
    assert process.exitcode == 0
