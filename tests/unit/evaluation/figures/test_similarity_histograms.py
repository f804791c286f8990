from __future__ import annotations

import numpy as np
import pytest
from readable import assert_readable

from dgreid.evaluation.figures import similarity_histograms
from dgreid.evaluation.observations.pair_histograms import BINS, CAMERAS, PairHistograms


def pairs(filled):
    """Counts with some pairs in the named (identity, camera) classes."""
    counts = np.zeros((2, 3, BINS), np.int64)
    for identity, camera in filled:
        counts[identity, camera, 100 + 20 * identity : 200 - 10 * camera] = 10**6 + identity
    return PairHistograms(np.linspace(-1, 1, BINS + 1), counts)


ALL = [(identity, camera) for identity in range(2) for camera in range(3)]


@pytest.mark.parametrize("filled", [ALL, ALL[:2] + ALL[3:5], [(1, 2)]])
@pytest.mark.parametrize(
    "similarity", ["cosine similarity", "negated distance after k-reciprocal re-ranking (k1 20, k2 6)"]
)
def test_densities_of_what_there_is(tmp_path, drawn, filled, similarity):
    histograms = pairs(filled)
    similarity_histograms(histograms, tmp_path / "similarities.png", similarity)
    shown = sorted({camera for _, camera in filled})
    assert [axes.get_title(loc="left") for axes in drawn[0].axes] == [CAMERAS[camera] for camera in shown]
    width = 2 / BINS
    for axes, camera in zip(drawn[0].axes, shown, strict=True):
        lines = [patch for patch in axes.patches if patch.get_label()]
        assert len(lines) == sum(camera == other for _, other in filled)
        for patch, identity in zip(lines, [i for i, c in filled if c == camera], strict=True):
            density = patch.get_data().values
            assert density.sum() * width == pytest.approx(1)
            counts = histograms.counts[identity, camera]
            np.testing.assert_allclose(density / density.max(), counts / counts.max())
            assert f"{counts.sum():,} pairs" in patch.get_label()
    assert drawn[0].axes[-1].get_xlabel() == similarity
    assert_readable(drawn[0])


def test_a_single_pair_is_drawn(tmp_path, drawn):
    counts = np.zeros((2, 3, BINS), np.int64)
    counts[0, 0, BINS - 1] = 1
    similarity_histograms(PairHistograms(np.linspace(-1, 1, BINS + 1), counts), tmp_path / "similarities.png")
    density = drawn[0].axes[0].patches[0].get_data().values  # of few pairs in wider bins
    assert density.tolist() == [0] * (BINS // 4 - 1) + [BINS / 4 / 2]
    low, high = drawn[0].axes[0].get_xlim()
    assert low < 1 - 2 / BINS < 1 < high
    assert_readable(drawn[0])
