"""Data sets from elsewhere: lists that lead out of their folder, files that are others', names that are tricks."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from dgreid.data.cuhk03_mat import mat_crops, mat_people, mat_test_sets, read_mat_image
from dgreid.data.domains.base import DatasetError
from dgreid.data.domains.csv_list import CSVDomain
from dgreid.data.domains.cuhk03 import CUHK03
from dgreid.data.domains.cuhk03_release import read_new_protocol
from dgreid.data.domains.files import listed_images, parse_name
from dgreid.data.domains.market_style import MARKET_PATTERN
from dgreid.errors import InputError
from dgreid.run.stored import stored_json
from dgreid.search.lists import read_list, read_table

OUT = ["/etc/passwd", "../secret.jpg", "a/../../secret.jpg", "a\0b.jpg", "//host/share.jpg"]


@pytest.mark.parametrize("path", OUT)
def test_a_list_of_a_published_data_set_stays_in_its_folder(path, tmp_path):
    (tmp_path / "list_train.txt").write_text(f"{path} 0\n")
    with pytest.raises(DatasetError, match=r"line 1 of .* which is not in the data set's folder"):
        list(listed_images(tmp_path / "list_train.txt", "msmt17v1"))


@pytest.mark.parametrize("path", [*OUT, 7, None, ["a"], {"a": 1}])
def test_names_of_cuhk03_stay_in_its_folder(path, tmp_path):
    folder = tmp_path / "cuhk03" / "cuhk03_release"
    (folder / "images").mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"identities": [[[path]]]}))
    (folder / "splits.json").write_text(json.dumps([{"trainval": [0], "query": [], "gallery": []}]))
    with pytest.raises(DatasetError, match=r"not in the data set's folder|has something else"):
        CUHK03(data_root=tmp_path).records("train")


@pytest.mark.parametrize(
    ("meta", "splits"),
    [
        ({"identities": [[["a.png"]]]}, [{"trainval": [1], "query": [], "gallery": []}]),
        ({"identities": [[["a.png"]]]}, [{"trainval": [-1], "query": [], "gallery": []}]),
        ({"identities": [[["a.png"]]]}, [{"trainval": ["x"], "query": [], "gallery": []}]),
        ({"identities": [[["a.png"]]]}, [{"trainval": [1e999], "query": [], "gallery": []}]),
        ({"identities": 7}, [{}]), ([], []), (7, None), ({"identities": "abc"}, "abc"),
    ],
)  # fmt: skip
def test_splits_of_cuhk03_that_do_not_go_together(meta, splits, tmp_path):
    folder = tmp_path / "cuhk03" / "cuhk03_release"
    (folder / "images").mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(DatasetError, match="has something else"):
        CUHK03(data_root=tmp_path).records("train")


def test_json_too_deep_for_its_parser(tmp_path):
    folder = tmp_path / "cuhk03" / "cuhk03_release"
    (folder / "images").mkdir(parents=True)
    (folder / "meta.json").write_text("[" * 100_000)
    with pytest.raises(DatasetError, match="is not JSON"):
        CUHK03(data_root=tmp_path).records("train")
    with pytest.raises(InputError, match="is damaged"):
        stored_json(folder / "meta.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,identity,split\n\xff\xfe,1,train\n", "cannot be read as a CSV file in UTF-8"),
        (b"path,identity,split\n" + b"a" * 200_000 + b",1,train\n", "cannot be read as a CSV file"),
        (b"path,identity,split\n~nobody-of-this-name/a.png,1,train\n", "has the path"),
        (b"", r"\['identity', 'path', 'split'\] are missing"),
        (b"path,identity,split\na.png,1,train,more,of,it\nb.png,1\n", "has the split ''"),
    ],
)
def test_tables_that_are_none(content, message, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        CSVDomain(data_root=tmp_path, file="a.csv").records("train")


def test_identities_of_other_kinds_than_numbers_stay_apart(tmp_path):
    """``int`` takes 1_2 for 12, which is another person."""
    lines = [f"{name}.png,{name},train" for name in ("1_2", "12", "9" * 30)]
    (tmp_path / "a.csv").write_text("\n".join(["path,identity,split", *lines]))
    assert len({record.identity for record in CSVDomain(data_root=tmp_path, file="a.csv").records("train")}) == 3


@pytest.mark.parametrize("name", [f"{'9' * 5000}_c1_a.jpg", f"1_c{'9' * 19}_a.jpg"])
def test_numbers_that_are_none(name):
    with pytest.raises(DatasetError, match="both must be numbers"):
        parse_name(Path(name), MARKET_PATTERN, 1, "market1501")


def test_a_list_of_images_to_search_with_tricks(tmp_path):
    (tmp_path / "a.csv").write_text("path\n~nobody-of-this-name/a.png\n")
    with pytest.raises(InputError, match="cannot be read as a CSV file"):
        read_list(tmp_path / "a.csv", "gallery")
    (tmp_path / "b.csv").write_text("path,identity\n=cmd|'/c calc'!A0,+1\n")
    assert read_list(tmp_path / "b.csv", "gallery")[0].identity == "+1"
    (tmp_path / "c.csv").write_bytes(b"path,identity,camera\n" + b"a" * 200_000)
    with pytest.raises(InputError, match="damaged or missing"):
        read_table(tmp_path / "c.csv")


def mat(path, image=None, links=False):
    """A file in the layout of cuhk-03.mat with one image."""
    with h5py.File(path, "w") as file:
        for crops in ("labeled", "detected"):
            picture = file.create_dataset(f"p_{crops}", **(image or {"data": np.zeros((3, 2, 4), "u1")}))
            cells = file.create_dataset(f"c_{crops}", (10, 1), dtype=h5py.ref_dtype)
            cells[:, 0] = [picture.ref] * 10
            file.create_dataset(crops, (1, 1), dtype=h5py.ref_dtype)[0, 0] = cells.ref
        sets = file.create_dataset("s", data=np.ones((2, 1)))
        file.create_dataset("testsets", (1, 1), dtype=h5py.ref_dtype)[0, 0] = sets.ref
        if links:
            del file["detected"]
            file["detected"] = h5py.ExternalLink("other.h5", "secret")
    return path


def test_an_image_in_a_mat_file(tmp_path):
    path = mat(tmp_path / "cuhk-03.mat")
    assert read_mat_image(mat_crops(path, "detected")[0].path_in(path, "detected")).shape == (4, 2, 3)


@pytest.mark.parametrize(
    "image",
    [
        {"shape": (3, 10**5, 10**6), "dtype": "u1", "chunks": (1, 100, 100)},
        {"shape": (10**6, 10**6, 10**3), "dtype": "f8", "chunks": (1, 100, 100)},
    ],
)
def test_an_image_that_claims_more_than_there_is(image, tmp_path):
    path = mat(tmp_path / "cuhk-03.mat", image)
    with pytest.raises(DatasetError, match="names no image"):
        read_mat_image(path / "detected" / "1" / "001" / "01")


def test_a_mat_file_that_leads_to_another(tmp_path):
    path = mat(tmp_path / "cuhk-03.mat", links=True)
    for read in (lambda: mat_crops(path, "detected"), lambda: read_mat_image(path / "detected" / "1" / "001" / "01")):
        with pytest.raises(DatasetError, match=r"cuhk-03\.mat"):
            read()


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n" + bytes(500), b"MATLAB 5.0", b"<html>", b"", bytes(2000)])
def test_files_that_are_no_mat(content, tmp_path):
    path = tmp_path / "cuhk-03.mat"
    path.write_bytes(content)
    for read in (mat_people, mat_test_sets, lambda file: mat_crops(file, "labeled")):
        with pytest.raises(DatasetError, match=r"cuhk-03\.mat"):
            read(path)
    split = tmp_path / "cuhk03_new_protocol_config_detected.mat"
    split.write_bytes(content)
    with pytest.raises(DatasetError, match="cuhk03_new_protocol"):
        read_new_protocol(tmp_path, "detected", "cuhknp")


def test_extracted_crops_of_other_names(tmp_path):
    release = tmp_path / "cuhk03" / "cuhk03_release"
    for crops in ("labeled", "detected"):
        (release / f"images_{crops}").mkdir(parents=True)
    mat(release / "cuhk-03.mat")
    for name, message in (("thumb_of_1_001.png", "is not named as a crop"), ("5_900_1_01.png", "does not have")):
        (release / "images_labeled" / name).write_bytes(b"")
        with pytest.raises(DatasetError, match=message):
            CUHK03(data_root=tmp_path).records("train")
        (release / "images_labeled" / name).unlink()
