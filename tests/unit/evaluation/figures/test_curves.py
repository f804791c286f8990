"""Curves: what is drawn, that all of it can be read, and that a file appears whole or not at all."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from readable import assert_readable

from dgreid.errors import InputError
from dgreid.evaluation.figures import cmc_curves, precision_recall_curves, training_curves

ROWS = [
    {"step": "0", "loss": "3.5", "loss/plaza": "3.6", "learning_rate": "0.1", "target/night/mAP": ""},
    {"step": "10", "loss": "2.5", "loss/plaza": "nan", "learning_rate": "0.1", "target/night/mAP": "0.25"},
    {"step": "20", "loss": "1.5", "loss/plaza": "1.6", "learning_rate": "0.1", "target/night/mAP": "0.5"},
]
NAMES = [
    "night {}",
    "a_long_domain_name, trained on three other domains {}",
    "/home/somebody/" + 40 * "weights/" + "{}",
]


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


def test_training_curves_of_long_names_can_be_read(tmp_path, drawn):
    names = ["loss", *(f"loss/domain_{k}_{'of_a_very_long_name_' * 3}" for k in range(4))]
    training_curves([{"step": str(step), **dict.fromkeys(names, "1")} for step in range(3)], tmp_path / "curves.png")
    assert_readable(drawn[0])
    (axes,) = drawn[0].axes
    assert axes.get_position().width > 0.5


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(InputError, match="none of the 1 rows holds a loss or mAP"):
        training_curves([{"step": "1", "learning_rate": "2"}], tmp_path / "curves.png")


def written(labels: list[str]) -> list[str]:
    """Labels without the line breaks of long ones."""
    return [label.replace("\n", "") for label in labels]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 4, 9])
def test_cmc_curves_have_a_line_each(tmp_path, drawn, name, count):
    shares = np.linspace(0.1, 1, 50)
    path = cmc_curves({name.format(k): shares / (k + 1) for k in range(count)}, tmp_path / "cmc.png")
    assert Image.open(path).format == "PNG"
    axes = drawn[0].axes[0]
    assert written([line.get_label() for line in axes.lines]) == [name.format(k) for k in range(count)]
    np.testing.assert_allclose(axes.lines[-1].get_ydata(), 100 * shares / count)
    assert axes.lines[0].get_xdata().tolist() == list(range(1, 51))
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == count
    assert_readable(drawn[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 3])
def test_precision_recall_curves_have_a_line_each(tmp_path, drawn, name, count):
    precision = np.linspace(1, 0.2, 101)
    precision_recall_curves({name.format(k): precision / (k + 1) for k in range(count)}, tmp_path / "pr.png")
    axes = drawn[0].axes[0]
    assert written([line.get_label() for line in axes.lines]) == [name.format(k) for k in range(count)]
    np.testing.assert_allclose(axes.lines[-1].get_ydata(), 100 * precision / count)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), np.arange(101))
    assert_readable(drawn[0])


def test_a_failed_picture_leaves_the_old_one(tmp_path, monkeypatch):
    path = cmc_curves({"night": [0.5, 1.0]}, tmp_path / "cmc.png")
    before = path.read_bytes()
    assert cmc_curves({"night": [0.5, 1.0]}, path).read_bytes() == before  # no version, no date inside

    def half(figure, place, **_):
        place.write_bytes(before[:100])
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(InputError, match="cannot be written"):
        cmc_curves({"night": [0.1, 0.2]}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["cmc.png"]


def test_importing_the_package_does_not_import_matplotlib():
    code = "import sys, dgreid.evaluation.pictures; sys.exit(bool({'matplotlib', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
