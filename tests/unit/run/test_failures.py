"""``failed.json``: which ends of a run it tells of, and that it is gone when the run goes on."""

from __future__ import annotations

import json
import os

import pytest

from dgreid.errors import InputError
from dgreid.run.failures import FAILED, failure_noted, failure_of_processes_noted


def _killed_while_running(folder):
    (folder / "run.json").write_text("{ }")
    (folder / FAILED).write_text('{"message": "connection lost"}')
    raise InputError("ended by SIGKILL")


def noted(folder):
    content = json.loads((folder / FAILED).read_text())
    assert content["format"] == 1
    assert content["finished"].startswith("20")
    return content["message"]


@pytest.mark.parametrize(
    ("error", "message"), [(InputError("cannot read image 7"), "cannot read image 7"), (KeyError("x"), "KeyError: 'x'")]
)
def test_an_error_is_noted_until_the_run_begins_again(error, message, tmp_path):
    with pytest.raises(type(error)), failure_noted(tmp_path):
        raise error
    assert noted(tmp_path) == message
    with failure_noted(tmp_path):
        assert not (tmp_path / FAILED).exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit])
def test_a_signal_is_an_interruption_not_a_failure(signal, tmp_path):
    with pytest.raises(signal), failure_noted(tmp_path):
        raise signal
    assert list(tmp_path.iterdir()) == []


def test_the_first_process_that_fails_says_why(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="first"), failure_noted(tmp_path):
        raise ValueError("first")
    monkeypatch.setattr("dgreid.run.failures.this_rank", lambda: 1)
    with pytest.raises(ValueError, match="lost"), failure_noted(tmp_path):
        raise ValueError("connection lost")
    assert noted(tmp_path) == "ValueError: first"


def test_what_became_of_processes_is_noted_by_who_started_them_if_they_took_the_folder(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    os.utime(tmp_path / "run.json", (1, 1))
    with pytest.raises(InputError), failure_of_processes_noted(tmp_path):
        raise InputError("in use by process 7")
    assert not (tmp_path / FAILED).exists()
    with pytest.raises(InputError), failure_of_processes_noted(tmp_path):
        _killed_while_running(tmp_path)
    assert noted(tmp_path) == "ended by SIGKILL"
