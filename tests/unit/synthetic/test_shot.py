import numpy as np
import pytest

from dgreid.synthetic.shot import Mishap, Portrait, Studio
from dgreid.synthetic.styles import STYLES


def studio(name="synthetic_plaza", seed=0, height=64, width=32):
    return Studio(name, STYLES[name], seed, height, width)


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("size", [(64, 32), (48, 40), (128, 64)])
def test_size_and_type(name, size):
    picture = studio(name, height=size[0], width=size[1]).draw(Portrait(0, 0, 0))
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8


def test_a_picture_does_not_depend_on_what_was_drawn_before():
    first, second = studio(), studio()
    drawings = [Portrait(0, 1, 0), Mishap(2, 0), Portrait(3, 1, 1)]
    forward = [first.draw(drawing) for drawing in drawings]
    backward = [second.draw(drawing) for drawing in reversed(drawings)]
    for one, other in zip(forward, reversed(backward), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("other", [Portrait(1, 0, 0), Portrait(0, 1, 0), Portrait(0, 0, 1), Mishap(0, 0)])
def test_person_camera_and_shot_matter(other):
    assert not np.array_equal(studio().draw(Portrait(0, 0, 0)), studio().draw(other))


def test_seed_and_name_matter():
    reference = studio().draw(Portrait(0, 0, 0))
    renamed = Studio("another", STYLES["synthetic_plaza"], 0, 64, 32)
    assert not np.array_equal(reference, studio(seed=1).draw(Portrait(0, 0, 0)))
    assert not np.array_equal(reference, renamed.draw(Portrait(0, 0, 0)))


def test_the_same_person_wears_the_same_clothes_everywhere():
    """Mean colours of the middle of the picture: nearer between shots of a person than between people, mostly."""
    drawn = studio(height=128, width=64)
    middles = np.array(
        [[drawn.draw(Portrait(i, c, 0))[40:90, 24:40].mean((0, 1)) for c in range(4)] for i in range(30)]
    )
    within = np.linalg.norm(middles[:, 0] - middles[:, 1], axis=1).mean()
    between = np.linalg.norm(middles[:, 0] - np.roll(middles[:, 1], 1, axis=0), axis=1).mean()
    assert within < 0.8 * between


def test_styles_look_different():
    means = {}
    for name in STYLES:
        drawn = studio(name)
        means[name] = np.mean([drawn.draw(Portrait(i, i % 4, 0)).mean((0, 1)) for i in range(16)], axis=0)
    assert means["synthetic_night"].mean() < 0.7 * means["synthetic_plaza"].mean()
    warmth = {name: mean[0] - mean[2] for name, mean in means.items()}
    assert warmth["synthetic_plaza"] > warmth["synthetic_station"] + 10
    names = list(means)
    for i, one in enumerate(names):
        assert all(np.abs(means[one] - means[other]).max() > 8 for other in names[i + 1 :])


def test_a_person_stands_in_the_middle():
    """Averaged over people, the middle of the picture differs more between shots of two people than its edges do."""
    drawn = studio("synthetic_station", height=128, width=64)
    pictures = np.stack([drawn.draw(Portrait(i, 0, 0)).astype(float) for i in range(40)])
    spread = pictures.std(0).mean(-1)
    assert spread[40:100, 26:38].mean() > 1.3 * spread[40:100, :6].mean()
