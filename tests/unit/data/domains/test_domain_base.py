"""Laws that hold for every data set."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.data.domains.base import SUBSETS, DatasetError, Domain, list_hash
from dgreid.errors import InputError
from dgreid.types import ReIDRecord

ROOT = Path("/data/set")


class ListedDomain(Domain):
    name = "listed"
    family = "listed"
    version = "1"
    root = ROOT
    distractors = frozenset({0})

    def __init__(self, lists):
        self.lists = lists

    def list_images(self):
        return self.lists


@st.composite
def domains(draw):
    lists, number = {}, 0
    for subset in SUBSETS:
        rows = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 3)), max_size=12))
        lists[subset] = []
        for identity, camera in rows:
            number += 1
            name = hashlib.md5(str(number).encode()).hexdigest()
            lists[subset].append(ReIDRecord(ROOT / subset / f"{name}.jpg", identity, camera))
    lists["train"].append(ReIDRecord(ROOT / "train" / "first.jpg", 1, 0))
    return ListedDomain(lists)


def slow_source_records(lists, with_test):
    """One image at a time: label = how many smaller identities its part has, after all people of the parts before."""
    parts = [lists["train"]] + ([lists["query"] + lists["gallery"]] if with_test else [])
    result, before = {}, 0
    for part in parts:
        people = {r.identity for r in part if r.identity != 0}
        for r in part:
            if r.identity in people:
                result[r.path] = (before + len([i for i in people if i < r.identity]), r.camera)
        before += len(people)
    return [(path, *result[path]) for path in sorted(result, key=str)]


@settings(deadline=None, derandomize=True, max_examples=50)
@given(domains(), st.booleans())
def test_sources_are_numbered_as_the_slow_rule_says(domain, with_test):
    records = domain.source_records("train+test" if with_test else "train")
    assert [(r.path, r.identity, r.camera) for r in records] == slow_source_records(domain.lists, with_test)
    labels = {r.identity for r in records}
    assert labels == set(range(len(labels)))


def test_lists_keep_their_own_numbers_sorted_by_path():
    lists = {"query": [ReIDRecord(ROOT / "b.jpg", 7, 1), ReIDRecord(ROOT / "a.jpg", 0, 2)]}
    domain = ListedDomain(lists)
    assert domain.records("query") == (lists["query"][1], lists["query"][0])
    assert domain.records("train") == ()


def test_an_image_in_query_and_gallery_is_trained_on_once():
    twice = ReIDRecord(ROOT / "a.jpg", 3, 1)
    assert len(ListedDomain({"query": [twice], "gallery": [twice]}).source_records("train+test")) == 1


@pytest.mark.parametrize(
    ("lists", "where"),
    [({"train": 2}, "train"), ({"gallery": 2}, "gallery"), ({"train": 1, "query": 1}, "train and test")],
)
def test_an_image_listed_twice_is_refused(lists, where):
    record = ReIDRecord(ROOT / "a.jpg", 3, 1)
    domain = ListedDomain({subset: [record] * times for subset, times in lists.items()})
    with pytest.raises(DatasetError, match=rf"a\.jpg is listed twice \({where}\)"):
        domain.records("train")


def test_an_unknown_use_is_refused():
    with pytest.raises(InputError, match=r"use='test' is unknown; it is 'train' or 'train\+test'"):
        ListedDomain({"train": []}).source_records("test")


def test_an_empty_data_set_is_refused():
    with pytest.raises(DatasetError, match="/data/set holds no image"):
        ListedDomain({}).records("train")


def test_list_hash_is_what_its_docstring_says():
    records = [ReIDRecord(ROOT / "a" / "1.jpg", 3, 0), ReIDRecord(ROOT / "2.jpg", 4, -1)]
    assert list_hash(records, ROOT) == hashlib.sha256(b"a/1.jpg 3 0\n2.jpg 4 -1\n").hexdigest()


@pytest.mark.parametrize("changed", [ReIDRecord(ROOT / "b.jpg", 1, 0), ReIDRecord(ROOT / "a.jpg", 2, 0),
                                     ReIDRecord(ROOT / "a.jpg", 1, 1)])  # fmt: skip
def test_list_hash_sees_path_identity_and_camera(changed):
    assert list_hash([ReIDRecord(ROOT / "a.jpg", 1, 0)], ROOT) != list_hash([changed], ROOT)


def test_list_hash_does_not_depend_on_where_the_data_lies():
    here, there = (list_hash([ReIDRecord(root / "a.jpg", 1, 0)], root) for root in (ROOT, Path("/elsewhere")))
    assert here == there
