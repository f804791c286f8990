"""How the four domains differ. All knobs of the calibration are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dgreid.synthetic.paint import Colour
from dgreid.synthetic.wardrobe import Season

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Style:
    """What all cameras of a domain share, and how far apart they may be.

    Attributes:
        cameras: number of cameras; each is placed once, at random.
        groups: the cameras are divided into so many groups; a person is seen by those of one group.
        season: how people are dressed.
        scenes: weight of each kind of background.
        cast: gain of red, green and blue.
        camera_cast: how far a camera's gains may be from the domain's.
        gain: brightness; a camera draws from the range.
        contrast: around middle grey; a camera draws from the range.
        saturation: 0 is grey, 1 leaves colours as they are; a camera draws from the range.
        pitch: how far a camera looks down, in radians.
        sharpness: share of the picture's resolution that a camera really has.
        blur: weight of the neighbours of a pixel.
        noise: half width of the sensor's noise, in 0..1.
        jitter: how carelessly boxes are cut, in body heights.
        occlusion: probability that something covers a part of the person.
        light: strength of light from one side.
    """

    cameras: int
    groups: int
    season: Season
    scenes: Mapping[str, float]
    cast: Colour
    camera_cast: float
    gain: Range
    contrast: Range
    saturation: Range
    pitch: Range
    sharpness: Range
    blur: Range
    noise: Range
    jitter: float
    occlusion: float
    light: float


PLAZA = Style(
    cameras=6,
    groups=1,
    season=Season(
        bright=1.0,
        short_sleeves=0.65,
        bare_legs=0.5,
        coat=0.0,
        open_jacket=0.12,
        patterned=0.5,
        headwear=0.18,
        scarf=0.0,
        luggage={"none": 3.0, "backpack": 1.5, "shoulder": 1.5, "handbag": 1.2},
    ),
    scenes={"square": 0.8, "lawn": 0.2},
    cast=Colour(1.06, 1.0, 0.90),
    camera_cast=0.05,
    gain=(0.95, 1.20),
    contrast=(1.0, 1.15),
    saturation=(0.95, 1.15),
    pitch=(0.05, 0.25),
    sharpness=(0.75, 1.0),
    blur=(0.0, 0.12),
    noise=(0.01, 0.03),
    jitter=0.05,
    occlusion=0.08,
    light=0.22,
)

STATION = Style(
    cameras=12,
    groups=1,
    season=Season(
        bright=0.6,
        short_sleeves=0.15,
        bare_legs=0.15,
        coat=0.3,
        open_jacket=0.4,
        patterned=0.5,
        headwear=0.1,
        scarf=0.15,
        luggage={"none": 1.5, "backpack": 1.5, "shoulder": 1.5, "handbag": 1.0, "suitcase": 2.0},
    ),
    scenes={"hall": 1.0},
    cast=Colour(0.96, 1.0, 1.05),
    camera_cast=0.06,
    gain=(0.88, 1.06),
    contrast=(0.85, 1.0),
    saturation=(0.72, 0.92),
    pitch=(0.2, 0.35),
    sharpness=(0.75, 0.95),
    blur=(0.02, 0.14),
    noise=(0.01, 0.035),
    jitter=0.05,
    occlusion=0.10,
    light=0.12,
)

CAMPUS = Style(
    cameras=8,
    groups=1,
    season=Season(
        bright=0.7,
        short_sleeves=0.2,
        bare_legs=0.2,
        coat=0.15,
        open_jacket=0.4,
        patterned=0.5,
        headwear=0.25,
        scarf=0.2,
        luggage={"none": 1.5, "backpack": 3.0, "shoulder": 1.0, "handbag": 0.5},
    ),
    scenes={"lawn": 0.8, "square": 0.2},
    cast=Colour(0.99, 1.04, 0.95),
    camera_cast=0.05,
    gain=(0.80, 1.10),
    contrast=(0.8, 1.05),
    saturation=(0.75, 1.05),
    pitch=(0.1, 0.35),
    sharpness=(0.65, 1.0),
    blur=(0.0, 0.15),
    noise=(0.01, 0.03),
    jitter=0.05,
    occlusion=0.10,
    light=0.15,
)

NIGHT = Style(
    cameras=8,
    groups=4,
    season=Season(
        bright=0.65,
        short_sleeves=0.1,
        bare_legs=0.2,
        coat=0.35,
        open_jacket=0.3,
        patterned=0.45,
        headwear=0.3,
        scarf=0.3,
        luggage={"none": 3.0, "backpack": 1.0, "shoulder": 1.0, "handbag": 1.0},
    ),
    scenes={"street": 1.0},
    cast=Colour(1.06, 0.98, 0.88),
    camera_cast=0.06,
    gain=(0.70, 0.92),
    contrast=(0.9, 1.2),
    saturation=(0.72, 0.92),
    pitch=(0.1, 0.4),
    sharpness=(0.65, 0.9),
    blur=(0.03, 0.15),
    noise=(0.02, 0.05),
    jitter=0.05,
    occlusion=0.08,
    light=0.25,
)

STYLES: Mapping[str, Style] = {
    "synthetic_plaza": PLAZA,
    "synthetic_station": STATION,
    "synthetic_campus": CAMPUS,
    "synthetic_night": NIGHT,
}
