from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from readable import assert_readable

from dgreid.errors import InputError
from dgreid.evaluation.figures import gallery, ranked_gallery
from dgreid.evaluation.ranked_lists import RankedQuery
from dgreid.types import ReIDRecord

COLOURS = {"right": gallery.CORRECT, "wrong": gallery.WRONG, "ignored": gallery.IGNORED}


def ranked(kinds, title="random 1", identity=100_000):
    records = [ReIDRecord(Path(f"{k}.jpg"), identity + k, k - 1) for k in range(len(kinds) + 1)]
    return RankedQuery(
        title, records[0], records[1:], [kind == "right" for kind in kinds], 0.5,
        [0.9 - 0.1 * k for k in range(len(kinds))], [kind == "ignored" for kind in kinds],
    )  # fmt: skip


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("length", [1, 4, 13])
def test_each_image_has_its_rank_frame_and_label(tmp_path, drawn, queries, length):
    kinds = [["right", "ignored", "wrong"][k % 3] for k in range(length)]
    asked = []

    def read(path):
        asked.append(path.name)
        return np.zeros((40 + int(path.stem), 20, 3), np.uint8)

    ranked_gallery([ranked(kinds)] * queries, read, tmp_path / "gallery.png")
    assert asked == [f"{k}.jpg" for k in range(length + 1)] * queries
    (sheet,) = drawn[0].axes
    assert len(sheet.patches) == len(sheet.images) == queries * (length + 1)
    titles, labels = ([text.get_text() for text in sheet.texts[start::2]] for start in (0, 1))
    assert (titles[0], labels[0]) == ("random 1\nAP 50.0 %", "id 100000\ncamera ?")
    rank = 0
    for place, kind in enumerate(kinds, start=1):
        rank += kind != "ignored"
        expected = {"right": f"{rank} \N{CHECK MARK}", "wrong": f"{rank} \N{BALLOT X}", "ignored": "ignored"}
        assert titles[place] == expected[kind]
        assert labels[place] == f"id {100_000 + place}\ncamera {place - 1}\n{1 - 0.1 * place:.3f}"
        assert sheet.patches[place].get_edgecolor() == to_rgba(COLOURS[kind])
        assert (sheet.images[place].get_alpha() < 1) == (kind == "ignored")
        left, bottom = sheet.patches[place].get_xy()
        width, height = sheet.patches[place].get_width(), sheet.patches[place].get_height()
        assert sheet.images[place].get_extent() == pytest.approx([left, left + width, bottom + height, bottom])
        assert sheet.images[place].get_array().shape == (40 + place, 20, 3)
    assert_readable(drawn[0])


def test_lists_of_different_lengths_and_long_numbers_can_be_read(tmp_path, drawn):
    rows = [
        ranked(["ignored"] * 3 + ["wrong"] * 10, "random 12", 1_234_567_890),
        ranked([]), ranked(["right"], "best 1"),
    ]  # fmt: skip
    ranked_gallery(rows, lambda _: np.full((128, 64, 3), 200, np.uint8), tmp_path / "gallery.png")
    assert len(drawn[0].axes[0].images) == 14 + 1 + 2
    assert_readable(drawn[0])


def test_an_image_that_cannot_be_read_leaves_no_file(tmp_path):
    def unreadable(_):
        raise InputError("no such image")

    with pytest.raises(InputError, match="no such image"):
        ranked_gallery([ranked(["right"])], unreadable, tmp_path / "gallery.png")
    assert list(tmp_path.iterdir()) == []
