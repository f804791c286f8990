"""Names of files, lists and tables of data sets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fuzzing import files, fuzzed, only_documented
from hypothesis import given
from hypothesis import strategies as st

from dgreid.data.domains.csv_list import CSVDomain
from dgreid.data.domains.cuhk03 import CUHK03
from dgreid.data.domains.cuhk03_release import crop_numbers, read_new_protocol
from dgreid.data.domains.cuhk_sysu import CUHKSYSU
from dgreid.data.domains.cuhknp import CUHKNP
from dgreid.data.domains.dukemtmc import DukeMTMC
from dgreid.data.domains.files import listed_images, parse_name
from dgreid.data.domains.folder import FolderDomain
from dgreid.data.domains.market1501 import Market1501
from dgreid.data.domains.market_style import MARKET_FOLDERS, MARKET_PATTERN
from dgreid.data.domains.msmt17 import LISTS, ORIGINAL_NAMES
from dgreid.data.domains.msmt17v1 import MSMT17V1
from dgreid.data.sets import RetrievalSet
from dgreid.search.lists import read_list, read_table

pytestmark = pytest.mark.filterwarnings("ignore::dgreid.data.domains.base.CountWarning")
PATTERNS = (MARKET_PATTERN, ORIGINAL_NAMES, re.compile(r"(?P<identity>\w*)_?(?P<camera>\w+)?"))
NAMES = st.one_of(
    st.text(max_size=30),
    *(st.from_regex(pattern).map(lambda name: name[:60]) for pattern in PATTERNS[:2]),
    st.from_regex(r"-?\d{1,25}_c-?\d{1,25}(s\d)?_\w{0,5}\.(jpg|png)", fullmatch=True),
    st.from_regex(r"\d{1,3}_\d{1,4}_\d_\d\d(\.png)?", fullmatch=True),
)


@fuzzed
@given(name=NAMES, pattern=st.sampled_from(PATTERNS), first=st.sampled_from([0, 1]))
def test_names_of_images(name, pattern, first):
    record = only_documented(lambda: parse_name(Path(name), pattern, first, "market1501"))
    assert record is None or abs(record.identity) < 2**63 > abs(record.camera)


@fuzzed
@given(name=NAMES)
def test_names_of_crops(name):
    numbers = only_documented(lambda: crop_numbers(name, Path(name), "cuhk03"))
    assert numbers is None or min(numbers) >= 1


def made(folder, name):
    """An image of a name, where the system has such names."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name.replace("/", "_")).write_bytes(b"")
    except (OSError, ValueError):  # no such name
        return


TREES = {
    "market1501": (Market1501, "market1501", MARKET_FOLDERS.values()),
    "dukemtmc": (DukeMTMC, "dukemtmc", MARKET_FOLDERS.values()),
    "cuhknp": (CUHKNP, "cuhknp/detected", MARKET_FOLDERS.values()),
    "cuhknp, release": (CUHKNP, "cuhk03", ["cuhk03_release/images_detected"]),
    "cuhk03": (CUHK03, "cuhk03/cuhk03_release", ["images_labeled", "images_detected"]),
    "cuhk_sysu": (CUHKSYSU, "cuhk_sysu", ["cropped_images", "bounding_box_train"]),
    "folder": (FolderDomain, "own", MARKET_FOLDERS.values()),
}


@fuzzed
@given(
    names=st.lists(NAMES, max_size=3), ending=st.sampled_from(["", ".jpg", ".png"]), tree=st.sampled_from(sorted(TREES))
)
def test_folders_of_images(names, ending, tree, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    kind, place, folders = TREES[tree]
    for number, folder in enumerate(folders):
        (root / place / folder).mkdir(parents=True)
        made(root / place / folder, "0002_c1s1_000451_03.jpg")
        for name in names[number:]:
            made(root / place / folder, f"{name}{ending}")
    domain = kind(data_root=root, folder=place) if kind is FolderDomain else kind(data_root=root)
    for subset in ("train", "query", "gallery"):
        only_documented(lambda subset=subset: domain.records(subset))
    only_documented(lambda: domain.source_records("train+test"))
    only_documented(lambda: RetrievalSet("a", domain.records("query"), domain.records("gallery")))


LIST = b"0000/0000_000_01_0303morning_0015_0.jpg 0\n0001/0001_001_02_0303morning_0015_0.jpg 1\n"
TABLE = b'path,identity,camera,split\na.png,1,0,train\nb.png,2,1,query\n"c d.png",x,,gallery\n'
INDEXED = b'"path","identity","camera"\n"/a/b.png","1","2"\n"/a/c.png","",""\n'


@fuzzed
@given(content=files(LIST))
def test_lists_of_msmt17(content, tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "MSMT17_V1"
    (root / "train").mkdir(parents=True)
    (root / "test").mkdir()
    for name in LISTS:
        (root / name).write_bytes(content)
    for path, identity in only_documented(lambda: list(listed_images(root / "list_train.txt", "a"))) or ():
        assert (root / path).resolve().is_relative_to(root.resolve())
        assert 0 <= identity < 2**63
    only_documented(lambda: MSMT17V1(data_root=root.parent).records("train"))


@fuzzed
@given(content=files(TABLE))
def test_tables_of_one_s_own(content, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    (root / "a.csv").write_bytes(content)
    domain = CSVDomain(data_root=root, file="a.csv")
    for subset in ("train", "query", "gallery"):
        for record in only_documented(lambda subset=subset: domain.records(subset)) or ():
            assert 0 <= record.identity < 2**63
    for subset in ("query", "gallery"):
        only_documented(lambda subset=subset: read_list(root / "a.csv", subset))


@fuzzed
@given(content=files(INDEXED))
def test_the_list_of_an_index(content, tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "images-0.csv"
    file.write_bytes(content)
    only_documented(lambda: read_table(file))
    only_documented(lambda: read_table(file, {0}))


META = b'{"identities": [[["00000_0.png", "00000_1.png"], ["00000_2.png"]], [["00001_0.png"], []]]}'
SPLITS = b'[{"trainval": [0], "query": [1], "gallery": [1]}]'


@fuzzed
@given(meta=files(META), splits=files(SPLITS), which=st.sampled_from(["meta", "splits", "both"]))
def test_lists_of_cuhk03(meta, splits, which, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    folder = root / "cuhk03" / "cuhk03_release"
    (folder / "images").mkdir(parents=True)
    (folder / "meta.json").write_bytes(META if which == "splits" else meta)
    (folder / "splits.json").write_bytes(SPLITS if which == "meta" else splits)
    only_documented(lambda: CUHK03(data_root=root).records("train"))


def split_file(path):
    import numpy as np
    from scipy.io import savemat

    names = np.array([["1_001_1_01.png"], ["1_001_2_06.png"]], dtype=object)
    rows = {f"{subset}_idx": np.array([[1]]) for subset in ("train", "query", "gallery")}
    savemat(path, {"filelist": names, "labels": np.array([[1], [2]]), **rows})
    return path.read_bytes()


@fuzzed
@given(data=st.data())
def test_the_split_file_of_cuhk03(data, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    file = root / "cuhk03_new_protocol_config_detected.mat"
    content = split_file(file)
    assert read_new_protocol(root, "detected", "cuhknp")["train"] == [("1_001_1_01", 1)]
    file.write_bytes(data.draw(files(content)))
    only_documented(lambda: read_new_protocol(root, "detected", "cuhknp"))
