"""Which images a place means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dgreid.data.domains.folder import FolderDomain
from dgreid.errors import InputError
from dgreid.search.images import SearchImage, as_text, images_in, images_of_domain, printable, unique


def touched(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(images, folder: Path) -> list[str]:
    return [Path(image.path).relative_to(folder).as_posix() for image in images]


def test_a_folder_means_its_images_in_all_subfolders(tmp_path):
    touched(tmp_path, "b.jpg", "a.PNG", "deep/er/c.jpeg", "deep/d.bmp", "notes.txt", "Thumbs.db")
    touched(tmp_path, ".hidden.jpg", ".git/e.jpg", "__MACOSX/f.jpg", "deep/._c.jpeg")
    images = images_in(str(tmp_path), "gallery")
    assert names(images, tmp_path) == ["a.PNG", "b.jpg", "deep/d.bmp", "deep/er/c.jpeg"]
    assert all(image.identity == image.camera == "" for image in images)


def test_paths_are_absolute(tmp_path, monkeypatch):
    touched(tmp_path, "photos/a.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = [SearchImage(str(tmp_path / "photos" / "a.jpg"))]
    for place in ("photos", "photos/a.jpg", "photos/*.jpg", "~/photos"):
        assert images_in(place, "images") == expected


def test_a_file_that_is_named_may_have_any_ending(tmp_path):
    touched(tmp_path, "photo.webp")
    assert images_in(str(tmp_path / "photo.webp"), "images") == [SearchImage(str(tmp_path / "photo.webp"))]


def test_a_pattern_means_the_images_that_match(tmp_path):
    touched(tmp_path, "b1.jpg", "b2.jpg", "b3.txt", "a.jpg", "deep/b4.jpg")
    assert names(images_in(f"{tmp_path}/b*", "images"), tmp_path) == ["b1.jpg", "b2.jpg"]
    assert names(images_in(f"{tmp_path}/**/b?.jpg", "images"), tmp_path) == ["b1.jpg", "b2.jpg", "deep/b4.jpg"]


def test_a_name_with_signs_of_patterns_is_a_name_first(tmp_path):
    touched(tmp_path, "a[1].jpg", "what?.jpg", "whatX.jpg")
    assert names(images_in(f"{tmp_path}/what?.jpg", "images"), tmp_path) == ["what?.jpg"]
    assert names(images_in(f"{tmp_path}/a[1].jpg", "images"), tmp_path) == ["a[1].jpg"]


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([], "gallery={} holds no image; images end with .bmp, .jpeg, .jpg, .png"),
        (["a.webp", "b.webp", "c"], "gallery={} holds no image (but files: 2 .webp, 1 no ending); images end with"),
    ],
)
def test_a_folder_without_images_is_refused(held, said, tmp_path):
    touched(tmp_path, *held)
    with pytest.raises(InputError) as refusal:
        images_in(str(tmp_path), "gallery")
    assert said.format(tmp_path) in str(refusal.value)


@pytest.mark.parametrize("place", ["nowhere", "nowhere/*.jpg", "list.csv"])
def test_what_is_not_there_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"^images=.*: there is no such file, folder or domain .*; give images, a folde"
    ):
        images_in(place, "images")


def test_a_domain_s_images_keep_its_numbers(tmp_path):
    touched(tmp_path, "gallery/0012_c3.jpg", "gallery/-1_c1.jpg", "query/0012_c1.jpg")
    domain = FolderDomain(data_root=None, folder=tmp_path, train=None, gallery="gallery")
    assert images_of_domain(domain, "gallery") == [SearchImage(str(tmp_path / "gallery/0012_c3.jpg"), "12", "2")]
    with pytest.raises(InputError, match="folder has no train images"):
        images_of_domain(domain, "train")


def test_a_domain_s_unknown_camera_is_empty(tmp_path):
    touched(tmp_path, "gallery/0012.jpg")
    domain = FolderDomain(
        data_root=None, folder=tmp_path, train=None, query=None, gallery="gallery", pattern=r"(?P<identity>\d+)"
    )
    assert images_of_domain(domain, "gallery")[0].camera == ""


def test_each_path_comes_once_as_it_came_first():
    images = [SearchImage("/b", "ben"), SearchImage("/a"), SearchImage("/b", "anna")]
    assert unique(images) == [SearchImage("/b", "ben"), SearchImage("/a")]


def test_bytes_that_are_no_text_and_line_breaks_can_be_shown():
    path = os.fsdecode(b"/photos/\xff\nbig \xc3\xa9t\xc3\xa9.png")
    assert as_text(path) == "/photos/\\xff\nbig été.png"
    assert printable(path) == "/photos/\\xff\\x0abig été.png"
    assert printable("\x1b[31m") == "\\x1b[31m"
