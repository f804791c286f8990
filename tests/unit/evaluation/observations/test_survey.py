from __future__ import annotations

import numpy as np
import pytest

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels, candidates
from dgreid.evaluation.observations.pair_histograms import PairCounter
from dgreid.evaluation.observations.precision_recall import interpolated_precision
from dgreid.evaluation.observations.survey import survey


def problem(seed=0):
    rng = np.random.default_rng(seed)
    labels = [Labels(rng.integers(0, 5, size), rng.integers(-1, 3, size)) for size in (9, 50)]
    labels[0].identities[4] = 77  # nobody's
    return rng.uniform(-1, 1, (9, 50)).astype(np.float32), *labels


def reusing_its_memory(scores):
    """Blocks of a matrix that all lie in one place."""
    place = np.empty_like(scores)

    def block(start, stop):
        place[: stop - start] = scores[start:stop]
        return place[: stop - start]

    return block


@pytest.mark.parametrize("same_camera", ["ignore", "keep"])
def test_one_pass_finds_what_separate_ones_do(same_camera):
    scores, query, gallery = problem()
    rows = [7, 0, 3]
    found = survey(reusing_its_memory(scores), query, gallery, rows, same_camera)
    np.testing.assert_array_equal(found.similarities, scores[rows])
    curves, counter = [], PairCounter(gallery.cameras)
    for row, sets in enumerate(candidates(query, gallery, same_camera)):
        if sets.positives.size:
            curves.append(interpolated_precision(scores[row], sets))
        counter.add(scores[row], int(query.cameras[row]), np.flatnonzero(gallery.identities == query.identities[row]))
    assert len(curves) == 8
    np.testing.assert_allclose(found.precision, np.mean(curves, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(found.pairs.counts, counter.counts)
    assert found.pairs.counts.sum() == scores.size


def test_rows_are_kept_when_blocks_overwrite_each_other():
    scores, query, gallery = problem()
    block = reusing_its_memory(scores)
    asked = []

    def noting(start, stop):
        asked.append((start, stop))
        return block(start, stop)

    found = survey(noting, query, gallery, range(9), memory_limit=0.003)
    assert len(asked) > 2
    assert [start for start, _ in asked[1:]] == [stop for _, stop in asked[:-1]]
    np.testing.assert_array_equal(found.similarities, scores)
    whole = survey(block, query, gallery)
    np.testing.assert_array_equal(found.pairs.counts, whole.pairs.counts)
    np.testing.assert_array_equal(found.precision, whole.precision)


def test_without_any_match_there_is_no_precision():
    scores, query, gallery = problem()
    found = survey(lambda a, b: scores[a:b], query._replace(identities=query.identities + 100), gallery)
    assert np.isnan(found.precision).all()
    assert found.similarities.shape == (0, 50)
    assert found.pairs.counts[0].sum() == 0


def test_bad_blocks_are_refused():
    scores, query, gallery = problem()
    with pytest.raises(InputError, match="expected"):
        survey(lambda a, b: scores[a:b, :-1], query, gallery)
    scores[5, 3] = np.nan
    with pytest.raises(InputError, match="query 5 contain NaN"):
        survey(lambda a, b: scores[a:b], query, gallery)
