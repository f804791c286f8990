"""What is typed after ``python -m dgreid.search``."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from dgreid.search.__main__ import COMMANDS, PLAIN_TEXT, as_override, main


def parsed(word):
    (override,) = OverridesParser.create().parse_overrides([as_override(word)])
    assert not override.is_sweep_override()
    return override.value()


NAMES = st.text(st.characters(blacklist_characters="\0\n\r", blacklist_categories=["Cs"]), min_size=1)


@given(NAMES.filter(lambda name: name != "null" and name[0] not in "['\""), st.sampled_from(PLAIN_TEXT))
def test_names_of_files_are_taken_as_they_are(name, key):
    assert str(parsed(f"{key}={name}")) == name


@pytest.mark.parametrize(
    "name",
    [
        "holiday (1), a=b.jpg", "C:\\Users\\a b\\", "it's.png", 'say "hi".png', "back\\\"slash", "\\", "été/写真.jpg",
        "IVF1024,Flat", "nprobe=16,k_factor_rf=4", "~/photos/*.jpg", "a{b}.jpg", "12", "true", "x[1].jpg",
    ],
)  # fmt: skip
def test_signs_and_numbers_are_part_of_a_name(name):
    assert parsed(f"images={name}") == name


def test_lists_quotes_and_null_stay():
    assert [str(name) for name in parsed("images=[a.jpg,photos/b]")] == ["a.jpg", "photos/b"]
    assert parsed("run='a b'") == "a b"
    assert parsed("name=null") is None
    assert as_override("top=3") == "top=3"
    assert as_override("--cfg") == "--cfg"
    assert as_override("images=") == "images="


@pytest.mark.parametrize(("words", "code"), [([], 1), (["--help"], 0), (["-h"], 0)])
def test_without_a_command_it_says_what_there_is(words, code, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == code
    said = capsys.readouterr().out
    for command in COMMANDS:
        assert f"python -m dgreid.search {command} " in said


def test_a_mistyped_command_is_told(capsys):
    with pytest.raises(SystemExit) as end:
        main(["serach", "images=a.jpg"])
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("error: serach: the first word says what to do; ")
