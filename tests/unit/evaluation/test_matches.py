from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.matches import top_matches
from dgreid.evaluation.ranking import evaluate_embeddings


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 45), st.booleans())
def test_lists_equal_a_full_sort(seed, k, ties):
    rng = np.random.default_rng(seed)
    query, gallery = rng.standard_normal((6, 3)), rng.standard_normal((40, 3))
    if ties:
        query, gallery = np.sign(query), np.sign(gallery)
    query_labels = Labels(rng.integers(0, 4, 6), rng.integers(-1, 2, 6))
    gallery_labels = Labels(rng.integers(0, 4, 40), rng.integers(-1, 2, 40))
    found = top_matches(query, gallery, query_labels, gallery_labels, k)
    for row in range(6):
        identity, camera = query_labels.identities[row], query_labels.cameras[row]
        ranked = sorted(
            (-float(query[row] @ gallery[j]), j)
            for j in range(40)
            if camera == -1 or (gallery_labels.identities[j], gallery_labels.cameras[j]) != (identity, camera)
        )[:k]
        columns = [j for _, j in ranked]
        count = len(columns)
        if ties:  # sums of three signs are exact, so the order is too
            assert found.indices[row, :count].tolist() == columns
        np.testing.assert_allclose(found.scores[row, :count], [-score for score, _ in ranked], atol=1e-12)
        assert (
            found.correct[row, :count].tolist()
            == (gallery_labels.identities[found.indices[row, :count]] == identity).tolist()
        )
        assert (found.indices[row, count:] == -1).all()
        assert not found.correct[row, count:].any()
        assert np.isneginf(found.scores[row, count:]).all()


def test_the_first_correct_place_is_the_first_rank():
    rng = np.random.default_rng(0)
    query, gallery = rng.standard_normal((30, 8)), rng.standard_normal((200, 8))
    labels = [Labels(rng.integers(0, 10, size), rng.integers(0, 3, size)) for size in (30, 200)]
    first = evaluate_embeddings(query, gallery, *labels).first_rank
    correct = top_matches(query, gallery, *labels, k=200).correct
    np.testing.assert_array_equal(first, correct.argmax(axis=1) + 1)


def test_bad_input_is_refused():
    labels = Labels(np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(InputError, match="query: 2 embeddings but 3 identities"):
        top_matches(np.ones((2, 4)), np.ones((3, 4)), labels, labels)
    nobody = Labels(np.zeros(0, int), np.zeros(0, int))
    with pytest.raises(InputError, match="the gallery is empty"):
        top_matches(np.ones((3, 4)), np.ones((0, 4)), labels, nobody)
