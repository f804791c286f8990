import numpy as np
import pytest

from dgreid.synthetic.draws import generator
from dgreid.synthetic.luggage import KINDS
from dgreid.synthetic.person import draw_person_attributes
from dgreid.synthetic.styles import NIGHT, PLAZA, STYLES
from dgreid.synthetic.wardrobe import cloth, skin

PEOPLE = {
    name: [draw_person_attributes(generator(name, i), style.season) for i in range(400)]
    for name, style in STYLES.items()
}


def test_people_differ():
    assert len(set(PEOPLE["synthetic_plaza"])) == 400


@pytest.mark.parametrize("name", STYLES)
def test_seasons_dress_people(name):
    season, people = STYLES[name].season, PEOPLE[name]
    short = np.mean([person.outfit.sleeve < 0.9 for person in people])
    assert short == pytest.approx(season.short_sleeves * (1.0 - season.coat), abs=0.07)
    assert np.mean([person.outfit.leg < 1.0 for person in people]) == pytest.approx(season.bare_legs, abs=0.07)
    assert np.mean([person.outfit.upper.pattern is not None for person in people]) == pytest.approx(
        season.patterned, abs=0.07
    )
    assert np.mean([person.luggage == "backpack" for person in people]) == pytest.approx(
        season.luggage["backpack"] / sum(season.luggage.values()), abs=0.07
    )


@pytest.mark.parametrize("name", STYLES)
def test_all_luggage_can_be_drawn(name):
    assert set(STYLES[name].season.luggage) <= set(KINDS)


def test_summer_is_brighter_than_winter():
    def mean_colour(name):
        return np.mean([person.outfit.upper.base for person in PEOPLE[name]])

    assert PLAZA.season.bright > NIGHT.season.bright
    assert mean_colour("synthetic_plaza") > mean_colour("synthetic_station")


def test_patterns_show():
    rng = generator("cloth")
    for _ in range(200):
        paint = cloth(rng, 0.5, 1.0)
        assert paint.accent is not None
        assert sum(abs(a - b) for a, b in zip(paint.base, paint.accent, strict=True)) > 0.3


def test_colours_are_colours():
    rng = generator("skin")
    for _ in range(200):
        colour = skin(rng)
        assert all(0.0 <= channel <= 1.0 for channel in (*colour, *cloth(rng, 0.5, 0.0).base))
        assert colour.red > colour.green > colour.blue
