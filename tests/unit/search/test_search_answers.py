"""What is said of what was found: nobody, JSON, tables."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
from rich.console import Console

from dgreid.errors import InputError
from dgreid.search import tables
from dgreid.search.answers import Answer, Answers, Hit, search
from dgreid.search.images import SearchImage
from dgreid.search.readable import Skipped
from dgreid.search.tables import print_answers
from dgreid.search.thresholds import Threshold


def found(index, *lists, threshold=None, skipped=()):
    """Answers whose hits have these scores."""
    least = -1 if threshold is None else threshold.value
    answers = [
        Answer(
            SearchImage(f"/asked/{number}.jpg", "anna"),
            [
                Hit(rank, score, SearchImage(f"/far/away/in/the/gallery/{rank}.jpg", f"person {rank}"), score >= least)
                for rank, score in enumerate(scores, start=1)
            ],
        )
        for number, scores in enumerate(lists)
    ]
    return Answers(index, answers, threshold, skipped)


def printed(answers, width=100):
    out = io.StringIO()
    print_answers(answers, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("threshold", [None, Threshold(0.9), Threshold(-0.5)])
def test_a_hit_counts_from_the_threshold_on(index, embedder, threshold):
    images = list(index.all_images())
    rows = np.concatenate(list(embedder(images)))
    answers = search(index, images, rows, 14, threshold)
    least = -2 if threshold is None else threshold.value
    for answer in answers:
        assert [hit.accepted for hit in answer.hits] == [hit.score >= least for hit in answer.hits]
        assert not answer.nobody


def test_nobody_is_said_where_the_best_score_is_below_the_threshold(index, embedder, photos):
    images = list(index.all_images())
    rows = -np.concatenate(list(embedder(images)))  # nobody looks like that
    answers = search(index, images, rows, 3, Threshold(0.99))
    assert all(answer.nobody for answer in answers)
    assert not any(answer.nobody for answer in search(index, images, rows, 3))


def test_a_score_at_the_threshold_counts(index, embedder):
    images = list(index.all_images())[:1]
    rows = np.concatenate(list(embedder(images)))
    score = search(index, images, rows, 1)[0].hits[0].score
    assert not search(index, images, rows, 1, Threshold(score))[0].nobody
    assert search(index, images, rows, 1, Threshold(np.nextafter(score, 2)))[0].nobody


def test_top_is_at_least_one(index):
    with pytest.raises(InputError, match="top=0: at least 1"):
        search(index, [], np.zeros((0, 36), np.float32), 0)


def test_parameters_of_the_search_can_be_given(index, embedder):
    images = list(index.all_images())
    rows = np.concatenate(list(embedder(images)))
    with pytest.raises(InputError, match="parameters=nprobe=4 of kind=exact"):
        search(index, images, rows, 3, None, index.neighbours(parameters="nprobe=4"))


def test_an_index_left_on_disk_answers_the_same(index, embedder):
    images = list(index.all_images())
    rows = np.concatenate(list(embedder(images)))
    assert search(index, images, rows, 5, None, index.neighbours(memory_map=True)) == search(index, images, rows, 5)


def test_the_record_says_all_of_it(index):
    threshold = Threshold(0.7, 0.01, 240, 60)
    skipped = [Skipped("/asked/x.jpg", "cannot read image /asked/x.jpg: empty")]
    record = found(index, [0.91234567, 0.6], [0.5], threshold=threshold, skipped=skipped).record()
    assert json.loads(json.dumps(record)) == record
    assert record["threshold"] == {"value": 0.7, "false_accept_rate": 0.01, "gallery_images": 240, "searches": 60}
    assert record["index"]["images"] == 14
    assert record["index"]["weights_sha256"] == index.metadata.weights.sha256
    first, second = record["queries"]
    assert (first["path"], first["identity"], first["camera"]) == ("/asked/0.jpg", "anna", None)
    assert (first["nobody"], second["nobody"]) == (False, True)
    assert first["hits"] == [
        {"rank": 1, "score": 0.912346, "accepted": True, "path": "/far/away/in/the/gallery/1.jpg",
         "identity": "person 1", "camera": None},
        {"rank": 2, "score": 0.6, "accepted": False, "path": "/far/away/in/the/gallery/2.jpg",
         "identity": "person 2", "camera": None},
    ]  # fmt: skip
    assert record["skipped"] == [{"path": "/asked/x.jpg", "reason": "cannot read image /asked/x.jpg: empty"}]


def test_names_that_are_no_text_can_be_written(index):
    answer = Answer(SearchImage(os.fsdecode(b"/\xff.jpg")), [])
    record = Answers(index, [answer], None).record()
    assert json.dumps(record, ensure_ascii=False).encode()
    assert record["queries"][0]["path"] == "/\\xff.jpg"


def test_a_table_has_what_is_known(index):
    text = printed(found(index, [0.91234, 0.6]))
    assert "images in /far/away/in/the/gallery\n" in text
    assert "/asked/0.jpg  identity anna" in text
    assert [line.split() for line in text.splitlines() if ".jpg" in line][1:] == [
        ["1", "0.912", "person", "1", "1.jpg"], ["2", "0.600", "person", "2", "2.jpg"],
    ]  # fmt: skip
    assert "camera" not in text
    assert "threshold" not in text
    assert "nobody" not in text


def test_a_table_says_nobody_and_why(index):
    text = printed(found(index, [0.9, 0.6], [0.4], threshold=Threshold(0.7, 0.01, 8, 200)))
    assert "nobody in the gallery, the best score is 0.400" in text
    assert "nobody: 1 of 2 queries" in text
    assert "in a gallery of 8 images" in text
    assert text.count("reached") == 1
    assert text.count("below") == 2


def test_of_many_queries_the_first_are_shown(index, monkeypatch):
    monkeypatch.setattr(tables, "QUERIES_SHOWN", 2)
    text = printed(found(index, [0.9], [0.8], [0.7], [0.6]))
    assert "/asked/1.jpg" in text
    assert "/asked/2.jpg" not in text
    assert "and 2 more queries" in text


def test_names_cannot_style_the_terminal(index):
    image = SearchImage("/p/[bold red]x[/]\x1b[31m.jpg", "[i]a[/i]")
    text = printed(Answers(index, [Answer(image, [Hit(1, 0.5, image, True)])], None))
    assert "[bold red]x[/]\\x1b[31m.jpg" in text
    assert "[i]a[/i]" in text
    assert "\x1b" not in text
