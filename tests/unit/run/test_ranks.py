"""Processes that work together end together, and the first that fails speaks for all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dgreid.errors import InputError
from dgreid.run import ranks
from dgreid.run.ranks import run_together

SETUP = """
import os, signal, sys, time
from pathlib import Path
from dgreid.run.reports import report
rank, folder = int(os.environ["RANK"]), Path(sys.argv[1])
(folder / str(rank)).write_text(str(os.getpid()))
def wait_for(*names):
    while not all((folder / name).exists() for name in names):
        time.sleep(0.01)
wait_for("0", "1")
"""


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(ranks, "AFTER_A_FAILURE", 1.0)


def run(folder, script, count=2):
    environments = [{"RANK": str(rank)} for rank in range(count)]
    run_together([sys.executable, "-c", SETUP + script, str(folder)], environments)


def gone(folder):
    """Whether all processes that wrote their number have ended, those of zombies included."""
    return not any(alive(int(file.read_text())) for file in folder.glob("[0-9]"))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_all_succeed(tmp_path):
    run(tmp_path, "")
    assert gone(tmp_path)


def test_one_that_was_alone_and_is_killed(tmp_path):
    (tmp_path / "1").write_text("0")  # the other that it would wait for
    with pytest.raises(InputError, match=r"^the process of this run was ended by SIGKILL, perhaps.*out; continue"):
        run(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", count=1)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_killed_ends_one_that_waits(rank, tmp_path):
    with pytest.raises(InputError, match=rf"process {rank} of 2 was ended by SIGKILL.*resume=auto"):
        run(tmp_path, f"if rank == {rank}: os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(600)")
    assert gone(tmp_path)


def test_one_that_is_killed_is_named_though_another_complains_of_it(tmp_path):
    script = """
if rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
report(None, RuntimeError("connection closed"))
sys.exit(1)
"""
    with pytest.raises(InputError, match=r"process 1 of 2 was ended by SIGKILL"):
        run(tmp_path, script)


def test_the_first_message_counts_also_of_one_that_has_not_ended(tmp_path, capsys):
    script = """
if rank == 1:
    report("image 7 cannot be read")
    (folder / "told").touch()
    time.sleep(600)
wait_for("told")
report(None, RuntimeError("connection closed"))
sys.exit(1)
"""
    with pytest.raises(InputError, match=r"^image 7 cannot be read$"):
        run(tmp_path, script)
    assert gone(tmp_path)
    assert "connection closed" not in capsys.readouterr().err


def test_the_stack_of_one_that_no_user_can_mend(tmp_path, capsys):
    script = """
if rank == 1:
    try:
        {}["key"]
    except KeyError as error:
        report(None, error)
    sys.exit(1)
time.sleep(600)
"""
    with pytest.raises(InputError, match=r"^process 1 of 2 failed: KeyError: 'key'$"):
        run(tmp_path, script)
    assert capsys.readouterr().err.startswith("Traceback")


def test_one_that_says_nothing(tmp_path):
    with pytest.raises(InputError, match="process 1 of 2 ended with exit code 3"):
        run(tmp_path, "sys.exit(3 if rank else 0)")


STARTER = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup pytest` would have it ignored
from test_ranks import run
try:
    run(Path(sys.argv[1]), sys.argv[3])
except BaseException as ending:
    print(type(ending).__name__, file=sys.stderr)
"""
WORKING = """
from dgreid.run.ranks import end_with_starter
end_with_starter()
def leave(number, frame):
    (folder / f"left{rank}").write_text(str(number))
    sys.exit(number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, leave)
(folder / f"working{rank}").touch()
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("sent", "received", "ends"),
    [
        (signal.SIGINT, signal.SIGINT, "KeyboardInterrupt"),
        (signal.SIGTERM, signal.SIGTERM, "SIGTERMException"),
        (signal.SIGHUP, signal.SIGTERM, "SIGTERMException"),
        (signal.SIGUSR1, signal.SIGUSR1, "Interrupted"),
        (signal.SIGKILL, signal.SIGTERM, ""),
    ],
)
def test_a_signal_reaches_all_and_nobody_is_left(sent, received, ends, tmp_path):
    words = [sys.executable, "-c", STARTER, str(tmp_path), str(Path(__file__).parent), WORKING]
    starter = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: all((tmp_path / f"working{rank}").exists() for rank in range(2)))
        starter.send_signal(sent)
        _, said = starter.communicate(timeout=60)
        assert said.strip() == ends
        wait_until(lambda: gone(tmp_path))
    finally:
        starter.kill()
    assert [(tmp_path / f"left{rank}").read_text() for rank in range(2)] == [str(int(received))] * 2


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited a minute"
        time.sleep(0.05)
