"""Each camera of a source as a domain: together they hold its images, each once, and count people anew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgreid.data.domains.base import DatasetError, Domain, list_hash
from dgreid.data.domains.one_camera import cameras_of
from dgreid.errors import InputError
from dgreid.types import ReIDRecord

ROOT = Path("/data/shop")


class Shop(Domain):
    """A source whose files nobody reads."""

    name, family, version, root = "shop", "shops", "v2", ROOT

    def __init__(self, seen=()) -> None:
        self.seen = seen

    def list_images(self):
        people = [ReIDRecord(ROOT / f"{i:04d}.jpg", identity, camera) for i, (identity, camera) in enumerate(self.seen)]
        return {"train": people}


# People far apart in number, cameras that need not follow each other.
sightings = st.lists(st.tuples(st.sampled_from([2, 3, 7, 50, 51, 900]), st.sampled_from([0, 1, 4, 11])), min_size=1)


def usable(seen) -> bool:
    people = {camera: {identity for identity, other in seen if other == camera} for _, camera in seen}
    return all(len(identities) >= 2 for identities in people.values())


@given(sightings.filter(usable))
def test_the_cameras_are_a_partition_with_labels_of_their_own(seen):
    whole = Shop(seen)
    records = whole.source_records("train")
    cameras = cameras_of(whole, records, 1)
    parts = {camera.name: camera.source_records("train") for camera in cameras}
    assert Counter(r.path for part in parts.values() for r in part) == Counter(r.path for r in records)
    assert list(parts) == [f"shop_camera{number + 1}" for number in sorted({camera for _, camera in seen})]
    theirs = {record.path: record for record in records}
    for name, part in parts.items():
        assert {f"shop_camera{record.camera + 1}" for record in part} == {name}
        assert {record.identity for record in part} == set(range(len({theirs[r.path].identity for r in part})))
        # Two images show one person in the part if and only if they do in the whole; and order is kept.
        pairs = {(theirs[r.path].identity, r.identity) for r in part}
        assert len(pairs) == len(dict(pairs)) == len({label for _, label in pairs})
        assert [label for _, label in sorted(pairs)] == sorted(label for _, label in pairs)


def test_a_person_of_two_cameras_is_a_class_in_each():
    first, second = cameras_of(
        Shop([(5, 0), (6, 0), (6, 1), (9, 1)]), Shop([(5, 0), (6, 0), (6, 1), (9, 1)]).source_records("train"), 2
    )
    assert [r.identity for r in first.source_records("train")] == [0, 1]
    assert [r.identity for r in second.source_records("train")] == [0, 1]
    assert (first.name, first.family, first.version) == ("shop_camera1", "shops", "v2, camera 1")
    assert (second.name, second.version, second.root) == ("shop_camera2", "v2, camera 2", ROOT)


def test_what_is_trained_on_does_not_depend_on_use_and_nothing_is_tested():
    whole = Shop([(5, 0), (6, 0)])
    (camera,) = cameras_of(whole, whole.source_records("train"), 2)
    assert camera.source_records("train+test") == camera.source_records("train") == whole.source_records("train")
    assert camera.records("query") == camera.records("gallery") == ()
    assert camera.expected == {}


def test_the_hash_of_a_camera_is_of_its_list_alone():
    seen = [(5, 0), (6, 0), (5, 1), (6, 1)]
    hashes = []
    for more in ([], [(7, 1)]):
        whole = Shop([*seen, *more])
        hashes.append(
            [list_hash(c.source_records("train"), c.root) for c in cameras_of(whole, whole.source_records("train"), 2)]
        )
    assert hashes[0][0] == hashes[1][0]
    assert hashes[0][1] != hashes[1][1]


def test_all_cameras_with_too_few_people_are_named():
    whole = Shop([(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 4)])
    with pytest.raises(
        InputError,
        match=r"too few people are seen by camera 2 \(2\), camera 5 \(1\) of shop; each camera needs 3 of them "
        r"\(two, and data.identities_per_batch=3\): list the images of the other cameras as a domain of your own",
    ):
        cameras_of(whole, whole.source_records("train"), 3)


def test_a_smaller_batch_is_the_way_out_where_it_is_one():
    whole = Shop([(1, 0), (2, 0), (3, 0), (1, 1), (2, 1)])
    with pytest.raises(
        InputError, match=r"camera 2 \(2\) of shop.*set data.identities_per_batch to at most 2, or list"
    ):
        cameras_of(whole, whole.source_records("train"), 3)
    assert len(cameras_of(whole, whole.source_records("train"), 2)) == 2


def test_two_people_are_the_least_whatever_a_batch_takes():
    whole = Shop([(1, 0), (2, 0), (1, 1)])
    with pytest.raises(InputError, match=r"camera 2 \(1\) of shop; each camera needs 2 of them"):
        cameras_of(whole, whole.source_records("train"), 1)


def test_images_of_an_unknown_camera_are_refused():
    whole = Shop([(1, 0), (2, 0), (1, -1)])
    with pytest.raises(
        InputError, match="split_by=camera: shop does not say the camera of 1 of its 3 images; leave it out"
    ):
        cameras_of(whole, whole.source_records("train"), 1)


def test_an_empty_source_is_refused_as_ever():
    with pytest.raises(DatasetError, match="holds no image"):
        Shop().source_records("train")
