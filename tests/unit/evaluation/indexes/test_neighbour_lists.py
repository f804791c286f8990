"""The CMC from lists of neighbours equals that of full rankings, as far as they go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.indexes.neighbour_lists import Neighbours, cmc_from_neighbours
from dgreid.evaluation.labels import Labels, candidates
from dgreid.evaluation.ranking import evaluate_similarities

RULES = settings(deadline=None, derandomize=True, max_examples=60)


def problem(seed, unknown=False):
    rng = np.random.default_rng(seed)
    low = -1 if unknown else 0
    query = Labels(rng.integers(0, 8, 15), rng.integers(low, 3, 15))
    gallery = Labels(rng.integers(0, 8, 70), rng.integers(low, 3, 70))
    query.identities[0] = 99  # nobody matches
    query.identities[1], query.cameras[1], gallery.identities[0], gallery.cameras[0] = 0, 0, 0, 1
    return rng.standard_normal((15, 70)), query, gallery


def lists(scores, k):
    indices = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return Neighbours(np.take_along_axis(scores, indices, axis=1).astype(np.float32), indices)


def most_junk(query, gallery):
    return max(each.junk.size for each in candidates(query, gallery) if each.positives.size)


@RULES
@given(st.integers(0, 10_000), st.integers(12, 70), st.booleans())
def test_lists_give_the_cmc_of_full_rankings_as_far_as_they_determine_it(seed, k, unknown):
    scores, query, gallery = problem(seed, unknown)
    found = cmc_from_neighbours(lists(scores, k), query, gallery)
    assert len(found) == k - most_junk(query, gallery)
    exact = evaluate_similarities(scores, query, gallery).cmc
    shared = min(len(found), len(exact))
    np.testing.assert_allclose(found[:shared], exact[:shared], atol=1e-12)


def test_without_a_camera_rule_all_of_a_list_counts():
    scores, query, gallery = problem(5)
    found = cmc_from_neighbours(lists(scores, 20), query, gallery, same_camera="keep")
    anywhere = Labels(gallery.identities, np.full(70, -1))
    np.testing.assert_allclose(found, evaluate_similarities(scores, query, anywhere).cmc[:20], atol=1e-12)


def test_images_of_the_querys_camera_before_the_match_use_up_the_list():
    query = Labels(np.array([1, 2]), np.array([0, 0]))
    gallery = Labels(np.array([1, 1, 1, 2, 3]), np.array([0, 0, 1, 1, 1]))
    found = Neighbours(np.zeros((2, 3), np.float32), np.array([[0, 1, 4], [4, 3, 2]]))
    assert cmc_from_neighbours(found, query, gallery).tolist() == [0.0]  # query 2 is found at rank 2
    with pytest.raises(InputError, match=r"ranks=2: a query has 2 .* leave 1 of its 3 neighbours; search for k=4 or"):
        cmc_from_neighbours(found, query, gallery, ranks=2)
    with pytest.raises(InputError, match=r"ranks=1: a query has 2 .* leave 0 of its 2 neighbours; search for k=3"):
        cmc_from_neighbours(Neighbours(found.scores[:, :2], found.indices[:, :2]), query, gallery)


def test_neighbours_that_were_not_found_are_no_matches():
    query = Labels(np.array([1]), np.array([0]))
    gallery = Labels(np.array([2, 1]), np.array([1, 1]))  # -1 would point at the match
    found = Neighbours(np.zeros((1, 2), np.float32), np.array([[0, -1]]))
    assert cmc_from_neighbours(found, query, gallery).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("indices", "identity", "message"),
    [
        ([[0, 1], [1, 0]], 1, r"shape \(2, 2\); give a list for each of the 1 queries"),
        ([[0, 2]], 1, "from 0 to 2, but the gallery has 2 images"),
        ([[-2, 0]], 1, "from -2 to 0"),
        ([[0, 1]], 7, "none of the 1 queries has a match"),
    ],
)
def test_what_is_refused(indices, identity, message):
    gallery = Labels(np.array([1, 1]), np.array([1, 1]))
    found = Neighbours(np.zeros(np.shape(indices), np.float32), np.array(indices))
    with pytest.raises(InputError, match=message):
        cmc_from_neighbours(found, Labels(np.array([identity]), np.array([0])), gallery)
