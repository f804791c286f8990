"""Pictures of a domain side by side: a row per person, a column per camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dgreid.synthetic.shot import Portrait, Studio

COLOURS = 256  # a palette keeps the file small although noise does not compress


def contact_sheet(studio: Studio, people: int, cameras: int) -> np.ndarray:
    """The first people of a domain as its first cameras see them; (people * H, cameras * W, 3) uint8.

    Pictures beyond the domain's cameras show the person again by the first ones.
    """
    count = studio.style.cameras
    rows = [
        [studio.draw(Portrait(person, column % count, column // count)) for column in range(cameras)]
        for person in range(people)
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def save_sheet(sheet: np.ndarray, path: Path) -> None:
    """Writes a sheet as a PNG file with a palette."""
    Image.fromarray(sheet).quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
