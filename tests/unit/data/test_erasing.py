"""Random erasing: Zhong et al.'s laws."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.data.erasing import ATTEMPTS, COLUMNS, FILL, erase, rectangle


def first_fit(rows: int, columns: int, numbers: np.ndarray) -> tuple[int, int, int, int]:
    """The algorithm of the paper, one attempt after the other."""
    for attempt in range(ATTEMPTS):
        area = (0.02 + 0.38 * numbers[2 + 2 * attempt]) * rows * columns
        aspect = np.exp(np.log(0.3) + numbers[3 + 2 * attempt] * (np.log(1 / 0.3) - np.log(0.3)))
        height, width = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if height < rows and width < columns:
            return int(numbers[0] * (rows - height + 1)), int(numbers[1] * (columns - width + 1)), height, width
    return 0, 0, 0, 0


@given(st.integers(1, 64), st.integers(1, 64), st.integers(0, 2**32 - 1))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_rectangle_is_the_first_that_fits(rows, columns, seed):
    numbers = np.random.default_rng(seed).random(COLUMNS - 1)
    top, left, height, width = rectangle(rows, columns, numbers)
    assert (top, left, height, width) == first_fit(rows, columns, numbers)
    assert top >= 0
    assert top + height <= rows
    assert left >= 0
    assert left + width <= columns


def test_share_and_area_of_erased_images():
    count = 2000
    images = np.zeros((count, 64, 32, 3), dtype=np.uint8)
    erase(images, 0.4, np.random.default_rng(0).random((count, COLUMNS)))
    erased = (images == FILL).all(-1)
    areas = erased.mean((1, 2))
    assert abs((areas > 0).mean() - 0.4) < 0.03
    assert (images[~erased] == 0).all()
    assert abs(areas[areas > 0].mean() - 0.21) < 0.02
    assert areas[areas > 0].min() > 0.01
    assert areas.max() < 0.42
