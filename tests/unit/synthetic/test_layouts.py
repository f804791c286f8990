import re
from collections import Counter

import pytest

from dgreid.synthetic.census import Census, Size
from dgreid.synthetic.layouts.cuhknp import CUHKNPLayout
from dgreid.synthetic.layouts.dukemtmc import DukeMTMCLayout
from dgreid.synthetic.layouts.market1501 import Market1501Layout
from dgreid.synthetic.layouts.msmt17 import MSMT17Layout
from dgreid.synthetic.shot import Mishap, Portrait

SIZE = Size(5, 4, 8, 64, 32)
CENSUS = Census("a", 0, SIZE, 12, 1)
PAIRS = Census("a", 0, SIZE, 8, 4)
LAYOUTS = [
    (Market1501Layout(), CENSUS, r"(bounding_box_(train|test)|query)/(-1|\d{4})_c\d+s\d_\d{6}_\d{2}\.jpg"),
    (DukeMTMCLayout(), CENSUS, r"(bounding_box_(train|test)|query)/\d{4}_c\d+_f\d{7}\.jpg"),
    (MSMT17Layout(), CENSUS, r"(train|test)/(\d{4})/\2_\d{3}_\d{2}_0303(morning|noon|afternoon)_\d{4}_0\.jpg"),
    (CUHKNPLayout(), PAIRS, r"detected/(bounding_box_(train|test)|query)/\d{4}_c[12]_\d{2}\.png"),
]


@pytest.mark.parametrize(("layout", "census", "pattern"), LAYOUTS)
def test_names_are_those_of_the_real_data_set(layout, census, pattern):
    files = list(layout.files(census))
    assert all(re.fullmatch(pattern, file.path) for file in files)
    assert len({file.path for file in files}) == len(files)


@pytest.mark.parametrize(("layout", "census", "pattern"), LAYOUTS)
def test_every_appearance_is_a_file_once(layout, census, pattern):
    drawn = Counter(file.drawing for file in layout.files(census))
    for shown in census.appearances():
        assert drawn[Portrait(shown.person, shown.camera, shown.shot)] == 1
    assert max(drawn.values()) == 1


@pytest.mark.parametrize(("layout", "census", "pattern"), [LAYOUTS[0], LAYOUTS[1], LAYOUTS[3]])
def test_names_tell_identity_and_camera(layout, census, pattern):
    views = 2 if isinstance(layout, CUHKNPLayout) else census.cameras
    labels = census.labels()
    for file in layout.files(census):
        if isinstance(file.drawing, Portrait) and file.drawing.person < SIZE.identities:
            label, camera = re.search(r"/(\d+)_c(\d+)", file.path).groups()
            assert int(label) == labels[file.drawing.person]
            assert int(camera) - 1 == file.drawing.camera % views


def test_market_has_junk_and_distractors():
    layout = Market1501Layout()
    files = list(layout.files(CENSUS))
    junk = [file for file in files if "/-1_c" in file.path]
    strangers = [file for file in files if "/0000_c" in file.path]
    assert len(junk) == SIZE.test_identities // 2
    assert all(isinstance(file.drawing, Mishap) for file in junk)
    assert len(strangers) == layout.distractors(CENSUS) == SIZE.test_identities
    assert all(file.drawing.person >= SIZE.identities for file in strangers)
    assert all(file.path.startswith("bounding_box_test/") for file in junk + strangers)


def test_msmt17_lists_name_every_file_once_and_test_identities_restart():
    layout = MSMT17Layout()
    lists = layout.lists(CENSUS)
    assert set(lists) == {f"list_{name}.txt" for name in ("train", "val", "query", "gallery")}
    rows = {name: [line.split(" ") for line in text.splitlines()] for name, text in lists.items()}
    named = [f"train/{path}" for name in ("list_train.txt", "list_val.txt") for path, _ in rows[name]]
    named += [f"test/{path}" for name in ("list_query.txt", "list_gallery.txt") for path, _ in rows[name]]
    assert sorted(named) == sorted(file.path for file in layout.files(CENSUS))
    people = {name: {int(identity) for _, identity in listed} for name, listed in rows.items()}
    assert people["list_train.txt"] == people["list_val.txt"] == set(range(SIZE.train_identities))
    assert people["list_query.txt"] == people["list_gallery.txt"] == set(range(SIZE.test_identities))
    assert all(int(path[:4]) == int(identity) for listed in rows.values() for path, identity in listed)


def test_msmt17_cameras_have_two_digits():
    files = MSMT17Layout().files(Census("a", 0, Size(40, 1, 8, 64, 32), 12, 1))
    cameras = {int(file.path.rsplit("/", 1)[1].split("_")[2]): file.drawing.camera for file in files}
    assert cameras == {camera + 1: camera for camera in range(12)}
