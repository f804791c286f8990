from __future__ import annotations

import numpy as np
import pytest

from dgreid.errors import InputError
from dgreid.evaluation.bootstrap import paired_difference
from dgreid.evaluation.embedding_files.comparison import Comparing, differences, first_is_right
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_embeddings

QUERIES = Labels(np.array([0, 0, 1, 1, 2, 9]), np.array([0, 1, 0, 1, 0, 0]))
GALLERY = Labels(np.array([0, 1, 2, 0, 1, 2]), np.array([2, 2, 2, 3, 3, 3]))


def methods():
    generator = np.random.default_rng(0)
    return {
        name: evaluate_embeddings(generator.normal(size=(6, 3)), generator.normal(size=(6, 3)), QUERIES, GALLERY)
        for name in ("a", "b", "c")
    }


@pytest.mark.parametrize("unit", ["query", "identity"])
def test_every_other_method_against_the_baseline(unit):
    results, comparing = methods(), Comparing("b", unit, 50, 3)
    found = differences(results, QUERIES.identities, comparing)
    assert [(one.method, one.baseline, one.unit) for one in found] == [("a", "b", unit), ("c", "b", unit)]
    groups = QUERIES.identities if unit == "identity" else None
    for one in found:
        ours, theirs = results[one.method], results["b"]
        expected = paired_difference(ours.average_precision, theirs.average_precision, groups, 50, 3)
        assert one.mean_average_precision == expected
        assert expected.queries == 5  # identity 9 is not in the gallery
        assert expected.units == (3 if unit == "identity" else 5)
        gain = ours.mean_average_precision - theirs.mean_average_precision
        assert one.mean_average_precision.difference == pytest.approx(gain)
        assert one.rank1.difference == pytest.approx(ours.cmc[0] - theirs.cmc[0])


def test_the_first_method_is_the_baseline_unless_one_is_named():
    assert {one.baseline for one in differences(methods(), QUERIES.identities, Comparing(resamples=5))} == {"a"}


def test_rank_1_of_each_query():
    result = methods()["a"]
    hits = first_is_right(result)
    assert np.isnan(hits).tolist() == [False] * 5 + [True]
    assert np.nanmean(hits) == pytest.approx(result.cmc[0])
    assert set(hits[:5]) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("comparing", "message"),
    [
        (Comparing("ab"), "baseline=ab: .*known: a, b, c"),
        (Comparing(unit="camera"), "unit=camera: .*known: identity, query"),
    ],
)
def test_refuses_unknown_words(comparing, message):
    with pytest.raises(InputError, match=message):
        differences(methods(), QUERIES.identities, comparing)
