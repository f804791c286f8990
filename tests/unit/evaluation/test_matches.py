from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.matches import top_matches
from dgreid.evaluation.ranking import evaluate_embeddings
from dgreid.evaluation.similarity import embedding_blocks, matrix_blocks


def by_definition(scores, query, gallery, k, same_camera, most_ignored):
    """(column, correct, ignored) of one query's list: a full sort, then image by image."""
    kept, counted, ignored = [], 0, 0
    for _, column in sorted((-score, column) for column, score in enumerate(scores)):
        same_identity = gallery.identities[column] == query[0]
        rule = same_camera == "ignore" and same_identity and query[1] != -1 and gallery.cameras[column] == query[1]
        if counted == k:
            break
        if rule:
            ignored += 1
        else:
            counted += 1
        if not rule or ignored <= most_ignored:
            kept.append((column, bool(same_identity and not rule), bool(rule)))
    return kept


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    st.integers(0, 10_000), st.integers(1, 45), st.booleans(), st.sampled_from(["ignore", "keep"]), st.integers(0, 4)
)
def test_lists_equal_a_full_sort(seed, k, ties, same_camera, most_ignored):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, (6, 40)).astype(float) if ties else rng.standard_normal((6, 40))
    query = Labels(rng.integers(0, 4, 6), rng.integers(-1, 2, 6))
    gallery = Labels(rng.integers(0, 4, 40), rng.integers(-1, 2, 40))
    found = top_matches(lambda a, b: scores[a:b], query, gallery, k, same_camera, most_ignored)
    assert found.indices.shape == (6, k + most_ignored)
    for row in range(6):
        asked = query.identities[row], query.cameras[row]
        expected = by_definition(scores[row], asked, gallery, k, same_camera, most_ignored)
        count = len(expected)
        columns = found.indices[row, :count]
        listed = zip(columns, found.correct[row, :count], found.ignored[row, :count], strict=True)
        assert [(int(c), bool(right), bool(out)) for c, right, out in listed] == expected
        np.testing.assert_array_equal(found.scores[row, :count], scores[row, columns])
        assert (found.indices[row, count:] == -1).all()
        assert not (found.correct | found.ignored)[row, count:].any()
        assert np.isneginf(found.scores[row, count:]).all()


def test_behind_all_that_count_ignored_images_may_still_stand():
    query = Labels(np.array([1]), np.array([0]))
    for identities, expected in ([[1, 1, 1], [0, 1]], [[2, 1, 1], [0, 1, 2]]):
        gallery = Labels(np.array(identities), np.zeros(3, int))
        found = top_matches(lambda a, b: np.array([[0.9, 0.8, 0.7]]), query, gallery, k=5, most_ignored=2)
        assert found.indices[0, : len(expected)].tolist() == expected
        assert (found.indices[0, len(expected) :] == -1).all()
        assert found.ignored[0, : len(expected)].tolist() == [identities[column] == 1 for column in expected]


def test_the_first_correct_place_is_the_first_rank():
    rng = np.random.default_rng(0)
    query, gallery = rng.standard_normal((30, 8)), rng.standard_normal((200, 8))
    labels = [Labels(rng.integers(0, 10, size), rng.integers(0, 3, size)) for size in (30, 200)]
    first = evaluate_embeddings(query, gallery, *labels).first_rank
    correct = top_matches(embedding_blocks(query, gallery), *labels, k=200).correct
    np.testing.assert_array_equal(first, correct.argmax(axis=1) + 1)


def test_bad_input_is_refused():
    labels = Labels(np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(InputError, match=r"have shape \(3, 2\), expected \(3, 3\)"):
        top_matches(matrix_blocks(np.ones((3, 2))), labels, labels)
    nobody = Labels(np.zeros(0, int), np.zeros(0, int))
    with pytest.raises(InputError, match="the gallery is empty"):
        top_matches(matrix_blocks(np.ones((3, 0))), labels, nobody)
