"""Pictures: what is drawn, that nothing leaves the canvas or overlaps, and that a file appears whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from dgreid.errors import InputError
from dgreid.evaluation import figures
from dgreid.evaluation.figures import cmc_curves, ranked_gallery, training_curves
from dgreid.evaluation.ranked_lists import RankedQuery
from dgreid.types import ReIDRecord

ROWS = [
    {"step": "0", "loss": "3.5", "loss/plaza": "3.6", "learning_rate": "0.1", "target/night/mAP": ""},
    {"step": "10", "loss": "2.5", "loss/plaza": "nan", "learning_rate": "0.1", "target/night/mAP": "0.25"},
    {"step": "20", "loss": "1.5", "loss/plaza": "1.6", "learning_rate": "0.1", "target/night/mAP": "0.5"},
]


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that are saved."""
    kept: list[Figure] = []
    save = figures._save
    monkeypatch.setattr(figures, "_save", lambda figure, path: kept.append(figure) or save(figure, path))
    return kept


def is_seen(text: Text) -> bool:
    return text.get_visible() and bool(text.get_text().strip())


def assert_readable(figure: Figure) -> None:
    """No visible text leaves the canvas or lies on another."""
    drawn: dict[int, Text] = {}
    draw = Text.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", lambda text, *args: (drawn.update({id(text): text}), draw(text, *args)))
        FigureCanvasAgg(figure).draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn.values() if is_seen(text)]
    assert len(boxes) >= 4
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (one, left), (other, right) in combinations(boxes, 2):
        assert not left.overlaps(right), (one, other)


def test_training_curves_show_losses_and_map(tmp_path, drawn):
    path = training_curves(ROWS, tmp_path / "pictures" / "curves.png")
    assert path == tmp_path / "pictures" / "curves.png"
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]
    losses, scores = drawn[0].axes
    assert [line.get_label() for line in losses.lines] == ["loss", "loss/plaza"]
    assert losses.lines[1].get_xydata().tolist() == [[0, 3.6], [20, 1.6]]
    assert [line.get_label() for line in scores.lines] == ["target/night/mAP"]
    assert scores.lines[0].get_xydata().tolist() == [[10, 25], [20, 50]]
    assert_readable(drawn[0])


def test_training_curves_without_evaluations_have_one_panel(tmp_path, drawn):
    training_curves([{"step": "1", "loss": "2"}], tmp_path / "curves.png")
    assert len(drawn[0].axes) == 1


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(InputError, match="none of the 1 rows holds a loss or mAP"):
        training_curves([{"step": "1", "learning_rate": "2"}], tmp_path / "curves.png")


@pytest.mark.parametrize("name", ["night {}", "a_long_domain_name, trained on three other domains {}"])
def test_cmc_curves_have_a_line_each(tmp_path, drawn, name):
    shares = np.linspace(0.1, 1, 50)
    path = cmc_curves({name.format(k): shares / (k + 1) for k in range(4)}, tmp_path / "cmc.png")
    assert Image.open(path).format == "PNG"
    axes = drawn[0].axes[0]
    assert [line.get_label() for line in axes.lines] == [name.format(k) for k in range(4)]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 50 * shares)
    assert axes.lines[0].get_xdata().tolist() == list(range(1, 51))
    assert_readable(drawn[0])


@pytest.mark.parametrize(("queries", "length"), [(1, 1), (3, 10)])
def test_ranked_galleries_frame_right_and_wrong(tmp_path, drawn, queries, length):
    records = [ReIDRecord(Path(f"{k}.jpg"), 100_000 + k, k - 1) for k in range(length + 1)]
    correct = [k % 2 == 0 for k in range(length)]
    rows = [RankedQuery("median", records[0], records[1:], correct, 0.5)] * queries
    asked = []

    def read(path):
        asked.append(path.name)
        return np.zeros((40 + int(path.stem), 20, 3), np.uint8)

    ranked_gallery(rows, read, tmp_path / "gallery.png")
    assert asked == [f"{k}.jpg" for k in range(length + 1)] * queries
    cells = drawn[0].axes
    assert len(cells) == queries * (length + 1)
    assert cells[0].get_xlabel() == "id 100000\ncamera ?"
    assert "AP 50.0 %" in cells[0].get_title()
    for cell, right in zip(cells[1:], correct, strict=False):
        assert {spine.get_edgecolor() for spine in cell.spines.values()} == {
            to_rgba(figures.CORRECT if right else figures.WRONG)
        }
    assert_readable(drawn[0])


def test_a_failed_picture_leaves_the_old_one(tmp_path):
    path = cmc_curves({"night": [0.5, 1.0]}, tmp_path / "cmc.png")
    before = path.read_bytes()
    assert cmc_curves({"night": [0.5, 1.0]}, path).read_bytes() == before  # no version, no date inside

    def unreadable(_):
        raise InputError("no such image")

    query = RankedQuery("best", ReIDRecord(Path("x.jpg"), 0, 0), [ReIDRecord(Path("y.jpg"), 0, 0)], [True], 1.0)
    with pytest.raises(InputError, match="no such image"):
        ranked_gallery([query], unreadable, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["cmc.png"]


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, dgreid.evaluation.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
