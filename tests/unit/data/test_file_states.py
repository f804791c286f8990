"""A file that is exchanged while a run reads it is refused; one that stays is not."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from dgreid.data.cache import open_crops
from dgreid.data.file_states import FileState, file_of, file_states
from dgreid.data.images import FileCrops, ImageError

HEIGHT, WIDTH = 16, 8


@pytest.fixture
def paths(tmp_path):
    found = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(found):
        Image.new("RGB", (WIDTH, HEIGHT), (number * 40, 0, 0)).save(path)
        os.utime(path, ns=(10**18, 10**18))
    return found


def test_states_are_size_and_time_of_what_is_there(paths):
    sizes = [path.stat().st_size for path in paths]
    paths[1].unlink()
    assert file_states([*paths, paths[0], paths[0].with_name("no\0name")]) == {
        paths[0]: FileState(sizes[0], 10**18),
        paths[2]: FileState(sizes[2], 10**18),
    }


def test_an_image_of_a_mat_has_its_state(tmp_path):
    inside = tmp_path / "cuhk-03.mat" / "detected" / "1" / "001" / "01"
    assert file_of(inside) == tmp_path / "cuhk-03.mat"
    assert file_of(tmp_path / "a.jpg") == tmp_path / "a.jpg"


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in a worker"])
@pytest.mark.parametrize("change", ["content", "time", "gone"])
def test_what_changes_is_refused_and_named(change, elsewhere, paths):
    crops = open_crops(paths, HEIGHT, WIDTH, "none", None)
    assert len(crops(paths)) == 3
    if change == "content":
        Image.new("RGB", (3 * WIDTH, HEIGHT), (0, 90, 0)).save(paths[1])
        os.utime(paths[1], ns=(10**18, 10**18))
    elif change == "time":
        os.utime(paths[1], ns=(10**18 + 1, 10**18 + 1))
    else:
        paths[1].unlink()
    said = {"gone": r"cannot read image .*1\.png: No such file"}.get(
        change, r"1\.png was exchanged since this run began"
    )
    crops = pickle.loads(pickle.dumps(crops)) if elsewhere else crops
    with pytest.raises(ImageError, match=said):
        crops(paths)
    assert len(crops(paths[:1])) == 1


def test_a_cache_keeps_what_it_was_made_of(paths, tmp_path):
    before = FileCrops(HEIGHT, WIDTH)(paths)
    crops = open_crops(paths, HEIGHT, WIDTH, "disk", tmp_path / "cache")
    Image.new("RGB", (WIDTH, HEIGHT), (0, 90, 0)).save(paths[1])
    paths[2].unlink()
    np.testing.assert_array_equal(np.stack(list(crops(paths))), np.stack(list(before)))
