"""Lists of images in CSV files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.search.images import SearchImage
from dgreid.search.lists import read_list, read_table, write_table


def listed(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "list.csv"
    file.write_bytes(text.encode(encoding))
    return file


def test_identity_and_camera_are_optional_words(tmp_path):
    file = listed(tmp_path, "path, identity ,camera\na.jpg, anna , entrance\n/far/b.jpg,,\n")
    with pytest.raises(InputError, match="columns"):
        read_list(listed(tmp_path, "file,identity\na.jpg,1\n"), "gallery")
    file = listed(tmp_path, "path, identity, camera\na.jpg, anna, entrance\n/far/b.jpg,,\n")
    assert read_list(file, "gallery") == [
        SearchImage(str(tmp_path / "a.jpg"), "anna", "entrance"), SearchImage("/far/b.jpg"),
    ]  # fmt: skip
    assert read_list(listed(tmp_path, "path\na.jpg\n"), "query") == [SearchImage(str(tmp_path / "a.jpg"))]


def test_spreadsheets_put_a_mark_before_the_first_word(tmp_path):
    assert read_list(listed(tmp_path, "path\na.jpg\n", "utf-8-sig"), "query") == [SearchImage(str(tmp_path / "a.jpg"))]


def test_of_a_list_with_splits_one_is_taken(tmp_path):
    file = listed(tmp_path, "path,split\na.jpg,gallery\nb.jpg,query\nc.jpg,train\nd.jpg,gallery\n")
    assert [Path(image.path).name for image in read_list(file, "gallery")] == ["a.jpg", "d.jpg"]
    assert [Path(image.path).name for image in read_list(file, "query")] == ["b.jpg"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,split\na.jpg,train\nb.jpg,train\n", "lists no gallery images; its 2 images have another split: leave"),
        ("path\n", "lists no gallery images$"),
        ("path,split\na.jpg,galery\n", "line 2 of .* has the split 'galery'; did you mean 'gallery'"),
        ("path,identity\na.jpg,1\n ,2\n", "line 3 of .* has no path"),
        ("identity\n1\n", "its first line must name path"),
        ("", "its first line must name path"),
    ],
)
def test_what_is_no_list_is_refused(text, said, tmp_path):
    with pytest.raises(InputError, match=said):
        read_list(listed(tmp_path, text), "gallery")


WORDS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))


@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS)))
def test_a_table_comes_back_as_it_was(rows, tmp_path_factory):
    file = tmp_path_factory.mktemp("table") / "images.csv"
    images = [SearchImage("/" + path, *labels) for path, *labels in rows]
    write_table(file, images)
    assert list(read_table(file).values()) == images
    wanted = set(range(0, len(images), 2))
    assert read_table(file, wanted) == {row: images[row] for row in wanted}


def test_names_that_are_no_text_come_back(tmp_path):
    images = [SearchImage(os.fsdecode(b"/\xff\xfe.jpg")), SearchImage("/b.jpg")]
    write_table(tmp_path / "images.csv", images)
    assert list(read_table(tmp_path / "images.csv").values()) == images


@pytest.mark.parametrize("content", [None, "", "path,identity,camera\na,b\n"])
def test_a_damaged_table_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "images.csv").write_text(content)
    with pytest.raises(InputError, match=r"images.csv is damaged or missing .*; make the index anew"):
        read_table(tmp_path / "images.csv")
