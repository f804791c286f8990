"""One process at a time in a run's folder; a process that is gone holds nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import warnings

import pytest
from pytorch_lightning.utilities import rank_zero_only

from dgreid.errors import InputError
from dgreid.run.folder_lock import LOCK, alone_in, check_unused

HOLDER = """
import os, sys, time
from pathlib import Path
from dgreid.run.folder_lock import alone_in
with alone_in(Path(sys.argv[1])):
    worker = os.fork()
    if worker:
        print(worker, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process in the folder, with a worker of its own that outlives it."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    yield process
    process.kill()
    process.wait()
    os.kill(worker, signal.SIGKILL)  # it was there all the time


def test_the_second_is_told_of_the_first_and_takes_over_once_it_is_gone(holder, tmp_path):
    for enter in (alone_in, check_unused):
        with pytest.raises(InputError, match=rf"in use by process {holder.pid} on \S+, there since \d+-\d+-\d+ \d+"):
            entered(enter, tmp_path)
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == holder.pid
    holder.kill()
    holder.wait()
    for enter in (check_unused, alone_in):
        entered(enter, tmp_path)


def entered(enter, folder):
    if enter is check_unused:
        check_unused(folder)
    else:
        with alone_in(folder):
            assert json.loads((folder / LOCK).read_text())["pid"] == os.getpid()


def test_it_ends_with_the_block(tmp_path):
    check_unused(tmp_path / "not there")
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path):
        raise ZeroDivisionError
    assert (tmp_path / LOCK).read_text() == ""
    done = subprocess.run(
        [sys.executable, "-c", HOLDER.partition("    worker")[0] + "    print('in')", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "in\n"


def test_further_ranks_lock_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    with alone_in(tmp_path):
        assert not (tmp_path / LOCK).exists()


def test_a_user_on_another_machine_that_did_not_leave_is_named(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"host": "elsewhere", "pid": 7, "since": "2026-11-21 10:00:00"}))
    with pytest.warns(UserWarning, match="process 7 on elsewhere, there since 2026-11-21 10:00:00 did not end"):
        entered(alone_in, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        entered(alone_in, tmp_path)


def test_what_a_torn_file_says_does_not_matter(tmp_path):
    (tmp_path / LOCK).write_text('{"host": "els')
    entered(alone_in, tmp_path)


def test_a_disk_without_locks_is_used_with_a_warning(tmp_path, monkeypatch):
    def unknown(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", unknown)
    with pytest.warns(UserWarning, match="no locks .*do not start a run twice"):
        entered(alone_in, tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match=r"cannot be written .*runs="), alone_in(tmp_path / "not there"):
        pass
