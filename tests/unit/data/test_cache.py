"""The cache gives the same crops, is written once, and survives rivals, kills and full disks."""

import errno
import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from generated_people import write_people

from dgreid.data import cache as cache_module
from dgreid.data.cache import CachedCrops, content_key, default_folder, open_crops
from dgreid.data.images import FileCrops, ImageError
from dgreid.errors import InputError

HEIGHT, WIDTH = 24, 12


@pytest.fixture
def paths(tmp_path):
    return [record.path for record in write_people(tmp_path / "images", [(0, 0), (1, 0), (2, 0), (2, 1)])]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def open_disk(paths, folder, height=HEIGHT):
    return open_crops(paths, height, WIDTH, "disk", folder)


def test_crops_are_those_of_the_files(paths, folder):
    expected = FileCrops(HEIGHT, WIDTH)(paths)
    crops = open_disk([*paths, paths[0]], folder)
    assert isinstance(crops, CachedCrops)
    for order in (paths, paths[::-1], [paths[2]] * 3):
        for path, crop in zip(order, crops(order), strict=True):
            np.testing.assert_array_equal(crop, expected[paths.index(path)])
    assert (crops.height, crops.width) == (HEIGHT, WIDTH)


def test_the_second_opening_decodes_nothing(paths, folder, monkeypatch):
    open_disk(paths, folder)
    monkeypatch.setattr("dgreid.data.images.read_image", None)
    open_disk(paths, folder)(paths)
    assert len(list(folder.glob("*.npy"))) == 1


def test_without_cache_nothing_is_written(paths, folder):
    assert isinstance(open_crops(paths, HEIGHT, WIDTH, "none", folder), FileCrops)
    assert not folder.exists()


def test_size_and_content_make_another_cache(paths, folder):
    open_disk(paths, folder)
    open_disk(paths, folder, height=30)
    before = open_disk(paths, folder)(paths[:1])[0].copy()
    paths[0].write_bytes(paths[1].read_bytes())
    os.utime(paths[0], ns=(1, 1))
    after = open_disk(paths, folder)(paths[:1])[0]
    assert len(list(folder.glob("*.npy"))) == 3
    np.testing.assert_array_equal(after, FileCrops(HEIGHT, WIDTH)(paths[:1])[0])
    assert not np.array_equal(before, after)


def test_another_list_has_another_key(paths):
    assert content_key(paths, 2, 2) == content_key(list(paths), 2, 2)
    assert len({content_key(p, *s) for p in (paths, paths[1:], paths[::-1]) for s in ((2, 3), (3, 2))}) == 6


def test_writing_to_a_crop_does_not_reach_the_file(paths, folder):
    open_disk(paths, folder)(paths)[0][:] = 7
    assert not (open_disk(paths, folder)(paths)[0] == 7).all()


def test_a_pickled_cache_opens_the_file_again(paths, folder):
    crops = open_disk(paths, folder)
    assert len(pickle.dumps(crops)) < 3000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(crops))(paths), crops(paths))


def slow_write(paths, folder, log):
    """Writes a cache slowly and notes each decoding."""
    real = FileCrops.__call__

    def noted(self, chunk):
        with log.open("a") as stream:
            stream.write("decoded\n")
        time.sleep(0.5)
        return real(self, chunk)

    FileCrops.__call__ = noted
    open_disk(paths, folder)(paths)


def started(log):
    for _ in range(300):
        if log.exists():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_two_processes_write_once(paths, folder, tmp_path):
    log = tmp_path / "log"
    rivals = [
        multiprocessing.get_context("fork").Process(target=slow_write, args=(paths, folder, log)) for _ in range(2)
    ]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert [rival.exitcode for rival in rivals] == [0, 0]
    assert log.read_text() == "decoded\n"


def test_a_killed_writer_leaves_nothing_that_counts(paths, folder, tmp_path):
    log = tmp_path / "log"
    writer = multiprocessing.get_context("fork").Process(target=slow_write, args=(paths, folder, log))
    writer.start()
    started(log)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert list(folder.glob(".*.npy"))
    assert not list(folder.glob("[!.]*.npy"))
    np.testing.assert_array_equal(open_disk(paths, folder)(paths), FileCrops(HEIGHT, WIDTH)(paths))
    assert not list(folder.glob(".*.npy")), "what the killed process left is removed"


def test_too_little_space_is_told_before_writing(paths, folder, monkeypatch):
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(InputError, match=r"needs 0\.00 GB in .*cache, where 0\.00 GB are free; .*cache=none"):
        open_disk(paths, folder)
    assert not list(folder.glob("*.npy"))


def test_a_disk_that_fills_up_is_told(paths, folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache_module, "_write_crops", full)
    with pytest.raises(InputError, match="No space left on device"):
        open_disk(paths, folder)
    assert not [file for file in folder.iterdir() if file.suffix == ".npy"]


def test_a_folder_that_cannot_be_made_is_told(paths, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cache folder .*file.* cannot be used: .*; choose another cache_folder"):
        open_disk(paths, tmp_path / "file")


def test_an_unreadable_image_stops_the_writing_and_is_named(paths, folder):
    paths[1].write_bytes(b"no image")
    with pytest.raises(ImageError, match=paths[1].name):
        open_disk(paths, folder)
    assert not list(folder.glob("*.npy"))
    paths[1].unlink()
    with pytest.raises(ImageError, match=paths[1].name):
        open_disk(paths, folder)


def test_the_images_of_a_mat_file_share_its_state(tmp_path):
    mat = tmp_path / "cuhk-03.mat"
    mat.write_bytes(b"1")
    inside = [mat / "detected" / "1" / "001" / f"0{n}" for n in (1, 2)]
    key = content_key(inside, 2, 2)
    mat.write_bytes(b"12")
    assert content_key(inside, 2, 2) != key


def test_an_unknown_kind_is_refused(paths, folder):
    with pytest.raises(InputError, match="cache=dsk: there is no such cache; did you mean 'disk'"):
        open_crops(paths, HEIGHT, WIDTH, "dsk", folder)


def test_default_folder_follows_the_user_s_setting(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "dgreid" / "crops"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "dgreid" / "crops"
