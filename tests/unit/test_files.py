"""Files are written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dgreid.errors import InputError
from dgreid.files import new_folder, remove_temporary, second_name, write_atomically, write_json, write_text


def test_what_is_written_is_there(tmp_path):
    path = tmp_path / "new" / "a.json"
    assert write_json(path, {"name": "Grün", "b": [1, None]}) == path
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "Grün", "b": [1, None]}
    write_text(path, "second")
    assert path.read_text() == "second"
    assert [other.name for other in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("bug")])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = write_text(tmp_path / "table.csv", "old")

    def half(temporary):
        temporary.write_text("ha")
        raise error

    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        write_atomically(path, half)
    if isinstance(error, OSError):
        assert str(caught.value).startswith(f"{path} cannot be written: No space left on device; free space")
    assert path.read_text() == "old"
    assert [other.name for other in tmp_path.iterdir()] == ["table.csv"]


def test_the_temporary_file_keeps_the_ending(tmp_path):
    seen = []
    write_atomically(tmp_path / "curve.png", lambda temporary: seen.append(temporary.suffix) or temporary.touch())
    assert seen == [".png"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "text")


def test_a_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "deep" / "folder"
    with new_folder(path) as temporary:
        write_text(temporary / "a.txt", "a")
        assert not path.exists()
    assert [other.name for other in path.parent.iterdir()] == ["folder"]
    assert (path / "a.txt").read_text() == "a"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("bug")])
def test_a_failure_leaves_no_folder(tmp_path, error):
    def begin():
        with new_folder(tmp_path / "a") as temporary:
            write_text(temporary / "a.txt", "a")
            raise error

    with pytest.raises(InputError if isinstance(error, OSError) else type(error)):
        begin()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(tmp_path):
    (tmp_path / f".a.{os.getpid()}").mkdir()
    with new_folder(tmp_path / "a"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_took_the_place_stays(tmp_path):
    def overtaken():
        with new_folder(tmp_path / "folder") as temporary:
            write_text(temporary / "a.txt", "ours")
            write_text(tmp_path / "folder" / "a.txt", "theirs")

    with pytest.raises(InputError, match="folder cannot be written: "):
        overtaken()
    assert (tmp_path / "folder" / "a.txt").read_text() == "theirs"
    assert [other.name for other in tmp_path.iterdir()] == ["folder"]


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    for name in (".last.123.ckpt", ".table.7.csv", ".odd.99", ".lock", ".hidden.csv", "table.7.csv", "last.ckpt"):
        (tmp_path / name).touch()
    (tmp_path / ".folder.5").mkdir()
    remove_temporary(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".lock",
        ".hidden.csv",
        "table.7.csv",
        "last.ckpt",
        ".folder.5",
    }
    remove_temporary(tmp_path / "nowhere")


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name(tmp_path, monkeypatch, links):
    def without_links(self, target):
        raise OSError(95, "Operation not supported")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", without_links)
    first, name = write_text(tmp_path / "a.txt", "one"), tmp_path / "b.txt"
    write_text(name, "old")
    for _ in range(2):  # the second time both are names of one file
        assert second_name(first, name) == name
        assert name.read_text() == "one"
        assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "b.txt"}
    write_text(first, "two")
    assert name.read_text() == "one"
