"""Which gallery images count for a query, against the rule for one pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from retrieval_problems import is_junk, problem

from dgreid.errors import InputError
from dgreid.evaluation import labels
from dgreid.evaluation.labels import CandidateLists, Labels, as_labels, as_numbers, as_tensor, candidates

RULES = settings(deadline=None, derandomize=True, max_examples=40)


@RULES
@given(st.integers(0, 10_000), st.sampled_from(["ignore", "keep"]), st.integers(1, 12))
def test_matches_and_junk_follow_the_rule_for_one_pair(seed, same_camera, block):
    _, query, gallery = problem(seed, unknown=True)
    lists = CandidateLists(query, gallery, same_camera)
    found = list(candidates(query, gallery, same_camera))
    assert len(found) == 12
    most = 0
    for start in range(0, 12, block):
        pairs = lists.pairs(start, min(start + block, 12))
        for row in range(start, min(start + block, 12)):
            identity, camera = query.identities[row], query.cameras[row]
            same = np.flatnonzero(gallery.identities == identity)
            junk = [is_junk(identity, camera, identity, gallery.cameras[column], same_camera) for column in same]
            mine = pairs.queries == row - start
            assert pairs.columns[mine].tolist() == same.tolist()
            assert pairs.junk[mine].tolist() == junk
            assert found[row].junk.tolist() == same[np.array(junk, bool)].tolist()
            assert found[row].positives.tolist() == same[~np.array(junk, bool)].tolist()
            most = max(most, len(same))
    assert lists.longest == most


def test_candidates_do_not_depend_on_how_many_are_found_at_once(monkeypatch):
    _, query, gallery = problem(3)
    whole = list(candidates(query, gallery))
    monkeypatch.setattr(labels, "QUERIES_AT_ONCE", 5)
    for one, other in zip(whole, candidates(query, gallery), strict=True):
        np.testing.assert_array_equal(one.positives, other.positives)
        np.testing.assert_array_equal(one.junk, other.junk)


def test_an_empty_gallery_has_no_candidates():
    nobody = Labels(np.array([], np.int64), np.array([], np.int64))
    query = Labels(np.array([3, 4]), np.array([0, 1]))
    assert [len(one.positives) for one in candidates(query, nobody)] == [0, 0]
    assert CandidateLists(query, nobody).longest == 0


def test_another_camera_rule_is_refused():
    _, query, gallery = problem(3)
    with pytest.raises(InputError, match="same_camera=drop: known: ignore, keep"):
        next(candidates(query, gallery, "drop"))


def test_numbers_are_not_copied_unless_they_are_half():
    array = np.arange(6.0).reshape(2, 3)
    assert as_numbers(array) is array
    assert as_numbers(torch.from_numpy(array)).base is not None
    for half in (torch.ones(2, dtype=torch.bfloat16), torch.ones(2).half(), np.ones(2, np.float16)):
        assert as_numbers(half).dtype == np.float32


@pytest.mark.parametrize("shape", [(1, 3), (1, 1), (4, 3), (3,)])
def test_reversed_and_read_only_arrays_become_tensors(shape):
    array = np.arange(np.prod(shape), dtype=np.float16).reshape(shape)
    array.flags.writeable = False
    view = array[(slice(None, None, -1),) * array.ndim]
    assert as_tensor(view).tolist() == view.tolist()
    assert as_numbers(view).tolist() == view.tolist()


def test_labels_are_integers_of_one_length():
    given = as_labels(Labels(torch.tensor([1, 2], dtype=torch.int32), np.array([0, -1], np.int8)), "query")
    assert [values.dtype for values in given] == [np.int64, np.int64]
    with pytest.raises(InputError, match=r"query: identities have shape \(2,\) and cameras \(1,\)"):
        as_labels(Labels(np.array([1, 2]), np.array([1])), "query")
    with pytest.raises(InputError, match="gallery: identities and cameras are float64 and int64; give integers"):
        as_labels(Labels(np.array([1.0]), np.array([1])), "gallery")
