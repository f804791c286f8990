from __future__ import annotations

import numpy as np
import pytest

from dgreid.evaluation.observations.pair_histograms import BINS, CAMERAS, IDENTITIES, PairCounter


def problem(seed=0, queries=12, gallery=80):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-40, 41, (queries, gallery)) / 32  # on the edges of bins, and beyond the outermost
    identities = rng.integers(0, 4, queries), rng.integers(0, 4, gallery)
    cameras = rng.integers(-1, 3, queries), rng.integers(-1, 3, gallery)
    return scores, identities, cameras


def relation(query_camera, gallery_camera):
    if -1 in (query_camera, gallery_camera):
        return "unknown camera"
    return "same camera" if query_camera == gallery_camera else "other camera"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_pair_is_counted_where_it_belongs(dtype):
    scores, (asked, there), (query_cameras, gallery_cameras) = problem()
    counter = PairCounter(gallery_cameras)
    for row, camera in enumerate(query_cameras.tolist()):
        counter.add(scores[row].astype(dtype), camera, np.flatnonzero(there == asked[row]))
    found = counter.histograms()
    np.testing.assert_array_equal(found.edges, np.linspace(-1, 1, BINS + 1))
    values = {}
    for row in range(len(asked)):
        for column in range(len(there)):
            who = "same person" if asked[row] == there[column] else "different people"
            key = who, relation(query_cameras[row], gallery_cameras[column])
            values.setdefault(key, []).append(np.clip(scores[row, column], -1, 1))
    assert len(values) == 6
    for i, who in enumerate(IDENTITIES):
        for j, camera in enumerate(CAMERAS):
            np.testing.assert_array_equal(found.counts[i, j], np.histogram(values[who, camera], found.edges)[0])


def test_limits_are_those_of_the_similarity():
    counter = PairCounter(np.zeros(4, np.int64), limits=(-8.0, 0.0))
    counter.add(np.array([-8.0, -0.01, 0.0, -np.inf]), 0, np.array([1]))
    found = counter.histograms()
    assert (found.edges[0], found.edges[-1]) == (-8, 0)
    same = CAMERAS.index("same camera")
    assert np.flatnonzero(found.counts[0, same]).tolist() == [BINS - 1]
    assert {k: int(found.counts[1, same, k]) for k in np.flatnonzero(found.counts[1, same])} == {0: 2, BINS - 1: 1}
