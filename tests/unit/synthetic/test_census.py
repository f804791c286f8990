from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.synthetic.census import Census, Size

sizes = st.builds(Size, st.integers(1, 12), st.integers(1, 12), st.integers(4, 15), st.just(64), st.just(32))
censuses = st.builds(
    Census, st.just("a"), st.integers(0, 99), sizes, st.sampled_from([4, 6, 8, 12]), st.sampled_from([1, 2])
)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(censuses)
def test_every_person_has_the_images_asked_for(census):
    shown = list(census.appearances())
    assert Counter(a.person for a in shown) == dict.fromkeys(
        range(census.size.identities), census.size.images_per_identity
    )
    assert len({(a.person, a.camera, a.shot) for a in shown}) == len(shown)
    assert len({(a.person, a.image) for a in shown}) == len(shown)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(censuses)
def test_one_query_for_each_test_person_and_camera_and_a_match_by_another(census):
    shown = list(census.appearances())
    queries = [(a.person, a.camera) for a in shown if a.subset == "query"]
    gallery = {(a.person, a.camera) for a in shown if a.subset == "gallery"}
    assert len(set(queries)) == len(queries) == census.size.test_identities * census.cameras_per_identity
    for person, camera in queries:
        assert any(p == person and c != camera for p, c in gallery)
    assert {a.person for a in shown if a.subset == "train"} == set(range(census.size.train_identities))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(censuses)
def test_a_person_stays_within_a_group_of_cameras(census):
    members = census.cameras // census.groups
    for person in range(census.size.identities):
        cameras = census.cameras_of(person)
        assert len(set(cameras)) == len(cameras) == census.cameras_per_identity >= 2
        assert len({camera // members for camera in cameras}) == 1
        assert 0 <= min(cameras) <= max(cameras) < census.cameras


@settings(deadline=None, derandomize=True, max_examples=20)
@given(censuses)
def test_labels_are_a_permutation(census):
    assert sorted(census.labels()) == list(range(1, census.size.identities + 1))


def test_all_cameras_and_groups_are_used():
    census = Census("a", 0, Size(60, 1, 4, 64, 32), 8, 4)
    assert {camera for person in range(60) for camera in census.cameras_of(person)} == set(range(8))


@pytest.mark.parametrize(
    ("field", "value"),
    [("train_identities", 0), ("test_identities", 5000), ("images_per_identity", 3), ("height", 31), ("width", 2.5)],
)
def test_sizes_out_of_range_are_refused(field, value):
    sizes = {"train_identities": 1, "test_identities": 1, "images_per_identity": 4, "height": 64, "width": 32}
    with pytest.raises(InputError, match=rf"synthetic\.{field}={value} is refused: it must be a whole number in \d+"):
        Size(**{**sizes, field: value})
