import pytest

from dgreid.errors import InputError
from dgreid.export.new_folder import check_free, new_folder


def test_a_folder_appears_when_it_is_complete(tmp_path):
    place = tmp_path / "deep" / "folder"
    with new_folder(place) as temporary:
        (temporary / "file").write_text("whole")
        assert not place.exists()
    assert [path.name for path in place.parent.iterdir()] == ["folder"]
    assert (place / "file").read_text() == "whole"


def write_half(place):
    with new_folder(place) as temporary:
        (temporary / "file").write_text("half")
        raise ValueError("broke off")


def test_nothing_stays_of_a_folder_that_broke_off(tmp_path):
    with pytest.raises(ValueError, match="broke off"):
        write_half(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_what_came_in_between_is_not_overwritten(tmp_path):
    place = tmp_path / "folder"

    def write():
        with new_folder(place) as temporary:
            (temporary / "file").write_text("ours")
            place.mkdir()
            (place / "file").write_text("theirs")

    with pytest.raises(InputError, match="exists, and nothing is overwritten"):
        write()
    assert (place / "file").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_exists_is_refused(tmp_path):
    check_free(tmp_path / "new")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for place in (tmp_path, tmp_path / "link"):
        with pytest.raises(InputError, match=r"give another place with output=\.\.\., or remove it"):
            check_free(place)


def test_a_place_that_cannot_be_written_is_a_message(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(InputError, match=r"cannot be written: .*; free space or choose another place"),
        new_folder(tmp_path / "file" / "folder"),
    ):
        pass
