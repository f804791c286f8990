"""An index of small pictures."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_pictures import MEAN, STD, Patches, draw, silent

from dgreid.search.embedding import Embedder
from dgreid.search.images import images_in
from dgreid.search.indexing import Kind, make_index
from dgreid.search.weights import Weights

EXACT = Kind()


@pytest.fixture
def photos(tmp_path):
    """A folder of 14 pictures, four of them in subfolders."""
    folder = tmp_path / "photos"
    for seed in range(10):
        draw(folder / f"{seed}.png", seed)
    for seed in range(10, 14):
        draw(folder / "more" / f"day {seed}" / f"{seed}.PNG", seed)
    return folder


@pytest.fixture
def weights(tmp_path):
    """What an index of the tests says of its net."""
    preprocessing = {
        "height": 24, "width": 12, "interpolation": "bicubic", "mean": list(MEAN), "std": list(STD),
        "flip_average": False,
    }  # fmt: skip
    return Weights(str(tmp_path / "run"), "selected", 7, "abc123" * 10, preprocessing)


@pytest.fixture
def embedder():
    """Embeds with :class:`Patches`, four pictures at a time."""
    return Embedder(Patches(), 24, 12, MEAN, STD, batch_size=4)


@pytest.fixture
def make(tmp_path, weights):
    """Makes an index of some images."""

    def made(images, embedder, name="index", kind=EXACT, skipped=()):
        return make_index(tmp_path / name, images, skipped, embedder, weights, kind, ["photos"], silent)

    return made


@pytest.fixture
def index(photos, embedder, make):
    """An exact index of the pictures."""
    return make(images_in(str(photos), "gallery"), embedder)
