"""The page: pictures inside, nothing from outside, and no file's name is taken for markup."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_pictures import draw

from dgreid.search import page
from dgreid.search.answers import Answer, Answers, Hit
from dgreid.search.images import SearchImage
from dgreid.search.page import answers_page, thumbnail
from dgreid.search.readable import Skipped
from dgreid.search.thresholds import Threshold

VOID = {"meta", "img", "br"}
HOSTILE = (
    "a'b\"c.png", "<script>alert(1)<\\script>.png", "a&amp;b&lt;.png", "\" onerror=\"alert(1).png", "été 写真.png",
    "line\nbreak.png", "-->.png", "{x}${y}%s.png",
)  # fmt: skip


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], "each element is closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += "" if self.open[-1:] == ["style"] else data

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attributes[name] for one, attributes in self.tags if one == tag and name in attributes]


def answered(index, query: Path, *hits: Path, threshold=None, score=0.8):
    least = -1 if threshold is None else threshold.value
    found = [
        Hit(rank, score / rank, SearchImage(str(path), f"<i>{rank}</i>", "\"c'"), score / rank >= least)
        for rank, path in enumerate(hits, start=1)
    ]
    return Answers(index, [Answer(SearchImage(str(query)), found)], threshold)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_s_name_is_text_and_nothing_else(index, tmp_path, name):
    plain = Page(answers_page(answered(index, draw(tmp_path / "q.png", 1), draw(tmp_path / "plain.png", 2))))
    path = draw(tmp_path / name, 2)
    shown = Page(answers_page(answered(index, draw(tmp_path / "q.png", 1), path)))
    assert [tag for tag, _ in shown.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in shown.tags] == [sorted(attributes) for _, attributes in plain.tags]
    assert shown.attributes("img", "alt")[1] == name
    assert shown.attributes("span", "title")[1] == str(path)
    assert name in shown.text
    assert "<i>1</i>" in shown.text
    assert "\"c'" in shown.text


def test_pictures_are_inside_and_nothing_is_outside(index, tmp_path):
    text = answers_page(answered(index, draw(tmp_path / "q.png", 1), draw(tmp_path / "a.png", 2)))
    sources = Page(text).attributes("img", "src")
    assert len(sources) == 2
    for source in sources:
        head, _, data = source.partition(",")
        assert head == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).format == "JPEG"
    assert not re.search(r"https?:|file:|//", re.sub(r"base64,[^\"]*", "", text).replace(str(tmp_path), ""))
    (policy,) = [value for value in Page(text).attributes("meta", "content") if "default-src" in value]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_a_thumbnail_is_the_image_made_smaller(tmp_path):
    pixels = np.zeros((800, 400, 3), dtype=np.uint8)
    pixels[:400, :, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "large.png")
    small = np.asarray(Image.open(io.BytesIO(base64.b64decode(thumbnail(tmp_path / "large.png")))))
    assert small.shape == (216, 108, 3)
    assert small[:100].mean(axis=(0, 1)) == pytest.approx([254, 0, 0], abs=2)
    assert small[-100:].mean() < 2


def test_an_image_that_went_away_is_named_without_a_picture(index, tmp_path):
    shown = Page(answers_page(answered(index, draw(tmp_path / "q.png", 1), tmp_path / "gone.png")))
    assert len(shown.attributes("img", "src")) == 1
    assert "the image is no longer there" in shown.text
    assert "gone.png" in shown.text


def test_what_a_threshold_means_is_marked(index, tmp_path):
    images = [draw(tmp_path / f"{number}.png", number) for number in range(3)]
    without = Page(answers_page(answered(index, *images)))
    assert "nobody" not in without.text.lower()
    some = Page(answers_page(answered(index, *images, threshold=Threshold(0.5, 0.01, 240, 60))))
    assert some.text.count("below the threshold") == 1
    assert "Nobody in the gallery: 0 of 1." in some.text
    assert "in a gallery of 240 images" in some.text
    nobody = Page(answers_page(answered(index, *images, threshold=Threshold(0.9))))
    assert nobody.text.count("below the threshold") == 2
    assert "nobody in the gallery" in nobody.text
    assert "Nobody in the gallery: 1 of 1." in nobody.text


def test_of_very_many_queries_the_first_are_shown(index, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "QUERIES_SHOWN", 2)
    one = answered(index, draw(tmp_path / "q.png", 1), draw(tmp_path / "a.png", 2)).answers[0]
    shown = Page(answers_page(Answers(index, [one] * 5, None, [Skipped("/a", "b")])))
    assert len([tag for tag, _ in shown.tags if tag == "section"]) == 2
    assert "The first 2 of 5 queries; answers.json has all of them." in shown.text


def test_queries_that_could_not_be_read_are_named(index, tmp_path):
    one = answered(index, draw(tmp_path / "q.png", 1), draw(tmp_path / "a.png", 2))
    assert "cannot be read" not in Page(answers_page(one)).text
    skipped = [Skipped(f"/photos/<b>{number}.jpg", "empty") for number in range(7)]
    text = Page(answers_page(Answers(one.index, one.answers, None, skipped))).text
    assert "Without 7 that cannot be read: <b>0.jpg, <b>1.jpg, <b>2.jpg, <b>3.jpg, <b>4.jpg, ..." in text
