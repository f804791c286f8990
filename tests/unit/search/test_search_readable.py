"""Unreadable images are found before anything is embedded."""

from __future__ import annotations

import pytest

from dgreid.errors import InputError
from dgreid.search import readable as module
from dgreid.search.images import SearchImage, images_in
from dgreid.search.readable import readable


def ignored(done):
    """No progress."""


@pytest.fixture
def broken(photos):
    (photos / "a.jpg").write_text("no image")
    (photos / "z.png").write_bytes((photos / "0.png").read_bytes()[:60])
    return photos


def test_all_are_named_and_nothing_is_done(broken):
    with pytest.raises(InputError) as refusal:
        readable(images_in(str(broken), "gallery"), False, ignored)
    said = str(refusal.value)
    assert said.startswith("2 of 16 images cannot be read, and nothing was done (skip_unreadable=true leaves")
    assert f"{broken}/a.jpg: " in said
    assert f"{broken}/z.png: " in said


def test_they_can_be_left_out(broken, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 5)
    seen = []
    images = [*images_in(str(broken), "gallery"), SearchImage(str(broken / "gone.png"))]
    kept, skipped = readable(images, True, seen.append)
    unreadable = [str(broken / name) for name in ("a.jpg", "z.png", "gone.png")]
    assert kept == [image for image in images if image.path not in unreadable]
    assert [path for path, _ in skipped] == unreadable
    assert all(path in reason for path, reason in skipped)
    assert seen == [5, 10, 15, 17]


def test_many_are_counted(tmp_path):
    images = [SearchImage(str(tmp_path / f"{number}.png")) for number in range(9)]
    with pytest.raises(InputError, match=r"9 of 9 (.|\n)*4.png(.|\n)*and 4 more$"):
        readable(images, False, ignored)
    with pytest.raises(InputError, match=r"none of the 9 images can be read; the first: cannot read image .*0.png"):
        readable(images, True, ignored)
