"""Held-out identities: never trained on, and scored by a protocol of their own."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.data.holdout import split_holdout
from dgreid.errors import InputError
from dgreid.types import ReIDRecord


def people(identities, cameras=(0, 0, 1, 2, 2)):
    return tuple(
        ReIDRecord(Path(f"{identity}_{number}.jpg"), identity, camera)
        for identity in range(identities)
        for number, camera in enumerate(cameras)
    )


@given(st.integers(5, 30), st.floats(0.01, 0.8), st.integers(0, 99))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_laws_of_the_split(identities, share, seed):
    records = people(identities)
    training, held_out = split_holdout(records, share, seed, "a")
    count = max(1, round(share * identities))
    assert held_out is not None
    assert {record.path for record in training} | {record.path for record in held_out.records} == {
        record.path for record in records
    }
    assert len(training) + len(held_out.records) == len(records)
    assert sorted({record.identity for record in training}) == list(range(identities - count))
    assert len({record.identity for record in held_out.records}) == count
    # One query of each identity and camera.
    assert set(Counter((r.identity, r.camera) for r in held_out.query).values()) == {1}
    assert len(held_out.query) == 3 * count


def test_training_identities_keep_their_order_and_images():
    records = people(10)
    training, held_out = split_holdout(records, 0.3, 0, "a")
    missing = {record.identity for record in held_out.records}
    kept = [identity for identity in range(10) if identity not in missing]
    assert [(r.path, kept[r.identity], r.camera) for r in training] == [
        (r.path, r.identity, r.camera) for r in records if r.identity in kept
    ]


def test_seed_and_domain_choose_the_identities_and_queries():
    def held_out(seed, domain):
        return split_holdout(people(40), 0.25, seed, domain)[1].query

    assert held_out(0, "a") == held_out(0, "a")
    assert {r.identity for r in held_out(0, "a")} != {r.identity for r in held_out(1, "a")}
    assert {r.identity for r in held_out(0, "a")} != {r.identity for r in held_out(0, "b")}


def test_nothing_is_held_out_by_default():
    assert split_holdout(people(3), 0.0, 0, "a") == (people(3), None)


@pytest.mark.parametrize("cameras", [(0, 0, 0), (-1, -1), (-1, 2, 2)])
def test_a_domain_without_two_known_cameras_keeps_all(cameras):
    records = people(6, cameras)
    assert split_holdout(records, 0.5, 0, "a") == (records, None)


def test_people_who_keep_to_one_camera_are_held_out_where_its_images_are_matches():
    records = tuple(ReIDRecord(Path(f"{n}.jpg"), n // 3, n // 3 % 2) for n in range(18))
    with pytest.raises(InputError, match="and 0 queries with a match in another camera"):
        split_holdout(records, 0.5, 0, "a")
    training, held_out = split_holdout(records, 0.5, 0, "a", "keep")
    assert len(training) == 9
    assert held_out.answerable("keep") == held_out.query_count == 3


@pytest.mark.parametrize(
    ("records", "share", "message"),
    [
        (people(5), 1.0, r"holdout=1.0 must lie in \[0, 1\)"),
        (people(5), -0.1, "holdout=-0.1 must lie in"),
        (people(1), 0.5, "keeps 1 of the 1 identities of domain a out of training, which leaves 0 to train on"),
        (people(5, (0, 1)), 0.4, "and 0 queries with a match in another camera"),
    ],
)
def test_a_share_that_cannot_be_is_refused(records, share, message):
    with pytest.raises(InputError, match=message):
        split_holdout(records, share, 0, "a")
