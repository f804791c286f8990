"""How far runs are: done, running, failed, interrupted, missing, damaged."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
from made_runs import make_run

from dgreid.report.reading import read_run, run_folders
from dgreid.report.states import state_of, status

HOLDER = """
import sys, time
from pathlib import Path
from dgreid.run.folder_lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that trains in a folder."""
    folder = make_run(tmp_path / "held", seed=9, scored=False)
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in\n"
    yield process, folder
    process.kill()
    process.wait()


def test_done(tmp_path):
    assert state_of(read_run(make_run(tmp_path / "a"))) == ("done", "")


def test_running_and_then_killed(holder):
    process, folder = holder
    state, why = state_of(read_run(folder))
    assert state == "running"
    assert why.startswith(f"process {process.pid} on {socket.gethostname()}, there since 20")
    process.kill()
    process.wait()
    state, why = state_of(read_run(folder))
    assert state == "interrupted"
    assert why.startswith(f"process {process.pid} on")
    assert why.endswith("was killed")


def test_failed(tmp_path):
    folder = make_run(tmp_path / "a", scored=False)
    (folder / "failed.json").write_text(json.dumps({"format": 1, "message": "no space left", "finished": "today"}))
    assert state_of(read_run(folder)) == ("failed", "no space left")


def test_interrupted(tmp_path):
    assert state_of(read_run(make_run(tmp_path / "a", scored=False))) == ("interrupted", "")


def test_a_result_of_a_shorter_run(tmp_path):
    folder = make_run(tmp_path / "a", fingerprint="another")
    assert state_of(read_run(folder)) == ("interrupted", "result.json is of a shorter run")


def test_left_on_another_machine(tmp_path):
    folder = make_run(tmp_path / "a", scored=False)
    (folder / ".lock").write_text(json.dumps({"host": "elsewhere", "pid": 7, "since": "noon"}))
    state, why = state_of(read_run(folder))
    assert (state, why) == (
        "interrupted", "process 7 on elsewhere, there since noon, did not end properly; it may still run there",
    )  # fmt: skip


@pytest.mark.parametrize("content", ["[1]", '{"host"', "\xff"])
def test_a_torn_lock_tells_nothing(tmp_path, content):
    folder = make_run(tmp_path / "a", scored=False)
    (folder / ".lock").write_bytes(content.encode("latin-1"))
    assert state_of(read_run(folder)) == ("interrupted", "")


def test_looking_changes_nothing(tmp_path):
    folder = make_run(tmp_path / "a", scored=False)
    (folder / ".lock").write_text("")
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}
    status([folder])
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()} == before


def test_cells_that_nobody_began_are_missing(tmp_path):
    make_run(tmp_path / "a", strategy="fb", seed=0, target="cuhknp")
    make_run(tmp_path / "b", strategy="fb", seed=1, target="market1501")
    make_run(tmp_path / "c", strategy="il", seed=0, target="cuhknp", scored=False)
    (table,) = status(run_folders([tmp_path]))
    assert [column.name for column in table.columns] == ["method", "target", "seed 0", "seed 1"]
    assert [[cell.text for cell in line.cells] for line in table.lines] == [
        ["fb", "cuhknp", "done", "missing"],
        ["fb", "market1501", "missing", "done"],
        ["il", "cuhknp", "interrupted", "missing"],
        ["il", "market1501", "missing", "missing"],
    ]
    assert table.text == ("8 cells: 2 done, 1 interrupted, 5 missing.",)


def test_damaged_runs_do_not_hide_the_others(tmp_path):
    make_run(tmp_path / "a")
    damaged = make_run(tmp_path / "b", seed=1)
    (damaged / "result.json").write_text('{"rows": ')
    grid, reasons = status(run_folders([tmp_path]))
    assert grid.text == ("1 cells: 1 done.",)
    (line,) = reasons.lines
    assert [line.cells[0].text, line.cells[1].text] == ["damaged", str(damaged)]
    assert "result.json is damaged" in line.cells[2].text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_lock_that_may_not_be_written_is_not_running(tmp_path):
    folder = make_run(tmp_path / "a", scored=False)
    (folder / ".lock").write_text("")
    (folder / ".lock").chmod(0o400)
    assert state_of(read_run(folder)).state == "interrupted"
