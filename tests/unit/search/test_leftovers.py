"""What killed processes leave is cleared away, and nothing that somebody still writes."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time

import pytest
from filelock import FileLock
from small_pictures import silent

from dgreid.errors import InputError
from dgreid.search.images import images_in
from dgreid.search.indexing import Kind, add_images, make_index
from dgreid.search.leftovers import alone, new_index


def hang_while_making(path):
    with new_index(path) as folder:
        (folder / "embeddings-0.npy").write_bytes(b"half")
        time.sleep(60)


@pytest.fixture
def making(tmp_path):
    """A process that is making an index, and does not end by itself."""
    process = multiprocessing.get_context("spawn").Process(target=hang_while_making, args=(tmp_path / "people",))
    process.start()
    while not list(tmp_path.glob(".people.*/embeddings-0.npy")):
        assert process.is_alive()
        time.sleep(0.01)
    yield process
    process.kill()
    process.join()


def test_a_killed_process_leaves_a_folder_that_the_next_one_clears_away(making, tmp_path):
    (tmp_path / ".people.txt").write_text("not ours")
    (tmp_path / ".people2.11").mkdir()
    with (
        pytest.raises(InputError, match=r"another process is making .*people; try again"),
        new_index(tmp_path / "people"),
    ):
        pass
    os.kill(making.pid, signal.SIGKILL)
    making.join()
    assert (tmp_path / f".people.{making.pid}").is_dir()
    with new_index(tmp_path / "people") as folder:
        assert not (tmp_path / f".people.{making.pid}").exists()
        (folder / "metadata.json").write_text("{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".people.txt", ".people2.11", "people"]


def test_a_name_that_looks_like_a_pattern_clears_its_own_alone(tmp_path):
    for name in (".a*.3", ".ab.3", ".a.3"):
        (tmp_path / name).mkdir()
    with new_index(tmp_path / "a*"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.3", ".ab.3", "a*"]


def test_a_link_is_no_leftover(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    (tmp_path / ".people.7").symlink_to(tmp_path / "mine")
    with new_index(tmp_path / "people"):
        pass
    assert (tmp_path / "mine" / "kept").exists()
    assert (tmp_path / ".people.7").is_symlink()


def without_locks(*_):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def test_a_file_system_without_locks_takes_an_index_and_clears_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", without_locks)
    (tmp_path / ".people.3").mkdir()
    with new_index(tmp_path / "people"):
        pass
    assert (tmp_path / "people").is_dir()
    assert (tmp_path / ".people.3").is_dir()
    told = pytest.raises(InputError, match=r"people cannot be written or locked: Function not implemented; copy it")
    with told, alone(tmp_path / "people"):
        pass


def test_the_index_that_is_made_is_held(tmp_path, photos, embedder, weights, index):
    images = images_in(str(photos), "gallery")
    held = FileLock(tmp_path / ".other.lock").acquire()
    with held, pytest.raises(InputError, match=r"another process is making"):
        make_index(tmp_path / "other", images, [], embedder, weights, Kind(), ["photos"], silent)


def test_files_of_a_killed_addition_are_cleared_by_the_next(make, photos, embedder):
    images = images_in(str(photos), "gallery")
    index = make(images[:10], embedder)
    left = (
        "embeddings-1.npy",
        "embeddings-2.npy",
        "images-7.csv",
        "index-3.faiss",
        ".index-1.123.faiss",
        ".metadata.9.json",
    )
    mine = ("notes.txt", "images-a.csv", "skipped.txt")
    for name in (*left, *mine):
        (index.path / name).write_text("x")
    grown = add_images(index, images[10:], [], embedder, ["more"], silent)
    assert list(grown.all_images()) == images
    assert sorted(path.name for path in index.path.iterdir()) == sorted(
        [
            *mine,
            "embeddings-0.npy",
            "embeddings-1.npy",
            "images-0.csv",
            "images-1.csv",
            "index-1.faiss",
            "metadata.json",
        ]
    )
