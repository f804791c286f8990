from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from readable import assert_readable

from dgreid.evaluation.figures import activation_maps
from dgreid.evaluation.observations.activation_energy import stretched
from dgreid.types import ReIDRecord


@pytest.mark.parametrize("count", [1, 3, 10])
def test_each_image_is_shown_plain_and_with_its_energy(tmp_path, drawn, count):
    generator = np.random.default_rng(0)
    records = [ReIDRecord(Path(f"{k}.jpg"), 10**9 + k, k - 1) for k in range(count)]
    pixels = [generator.integers(0, 255, (40, 20, 3), np.uint8) for _ in range(count)]
    energies = generator.random((count, 4, 2), np.float32)
    activation_maps(records, pixels, energies, tmp_path / "activations.png")
    cells = drawn[0].axes[:-1]
    assert len(cells) == 2 * count
    for k in range(count):
        plain, overlaid = cells[2 * k], cells[2 * k + 1]
        assert plain.get_xlabel() == f"id {10**9 + k}\ncamera {'?' if k == 0 else k - 1}"
        (image,) = plain.images
        under, over = overlaid.images
        np.testing.assert_array_equal(image.get_array(), pixels[k])
        np.testing.assert_array_equal(under.get_array(), pixels[k])
        np.testing.assert_array_equal(over.get_array(), stretched(energies[k], 40, 20))
        assert over.get_clim() == (0, 1)
        assert 0 < over.get_alpha() < 1
    assert_readable(drawn[0])
