"""Laws of the identity sampler, and the statistics recorded from the released one."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.data.sampling import IdentitySampler, cross_camera, spread
from dgreid.errors import InputError
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

RECORDED = json.loads((Path(__file__).parents[2] / "fixtures/m3l/sampler.json").read_text())


def people(cameras_of_identities):
    return [
        ReIDRecord(Path(f"{identity}/{number}.jpg"), identity, camera)
        for identity, cameras in enumerate(cameras_of_identities)
        for number, camera in enumerate(cameras)
    ]


def sampler(records, p=2, k=3, sampling="cross_camera", **kwargs):
    kwargs = {"seed": 0, "domain": "a", **kwargs}
    return IdentitySampler(records, identities_per_batch=p, images_per_identity=k, sampling=sampling, **kwargs)


CAMERAS = st.lists(st.integers(UNKNOWN_CAMERA, 3), min_size=1, max_size=7)
PEOPLE = st.lists(CAMERAS, min_size=4, max_size=12).filter(lambda all_cameras: max(map(len, all_cameras)) > 1)
SAMPLING = st.sampled_from(["cross_camera", "uniform"])
LAWS = settings(deadline=None, derandomize=True, max_examples=50)


@given(PEOPLE, st.integers(1, 4), st.integers(1, 5), SAMPLING, st.integers(0, 50))
@LAWS
def test_a_batch_holds_p_identities_with_k_rows_each(cameras, p, k, sampling, step):
    records = people(cameras)
    plan = sampler(records, p, k, sampling).plan(step)
    identities = np.array([records[index].identity for index in plan.indices]).reshape(p, k)
    assert plan.step == step
    assert plan.rows == range(p * k)
    assert (identities == identities[:, :1]).all()
    assert len(set(identities[:, 0])) == p


@given(PEOPLE, st.integers(1, 4), SAMPLING)
@LAWS
def test_a_pass_shows_no_identity_twice_and_drops_the_remainder(cameras, p, sampling):
    records = people(cameras)
    steps = len(cameras) // p
    plans = sampler(records, p, 2, sampling)
    for number in range(3):
        rows = np.concatenate([plans.plan(step).indices[::2] for step in range(number * steps, (number + 1) * steps)])
        identities = {records[index].identity for index in rows}
        assert len(identities) == len(rows) == steps * p


@given(PEOPLE, st.integers(0, 30), SAMPLING)
@LAWS
def test_starting_at_a_step_yields_the_rest_of_the_sequence(cameras, start, sampling):
    records = people(cameras)
    whole = list(islice(sampler(records, sampling=sampling), start + 8))
    late = list(islice(sampler(records, sampling=sampling, start_step=lambda: start), 8))
    for expected, plan in zip(whole[start:], late, strict=True):
        assert plan.step == expected.step
        np.testing.assert_array_equal(plan.indices, expected.indices)


def test_the_start_is_read_when_iteration_begins():
    step = 5
    batches = sampler(people([[0, 1]] * 4), start_step=lambda: step)
    iterator = iter(batches)
    step = 7
    assert next(iterator).step == 5
    assert next(iter(batches)).step == 7


@given(PEOPLE, st.sampled_from([1, 2, 4]), st.integers(0, 20), SAMPLING)
@LAWS
def test_ranks_slices_make_up_the_global_batch(cameras, world_size, step, sampling):
    records = people(cameras)
    whole = sampler(records, 4, 3, sampling).plan(step)
    parts = [sampler(records, 4, 3, sampling, rank=r, world_size=world_size).plan(step) for r in range(world_size)]
    np.testing.assert_array_equal(np.concatenate([part.indices for part in parts]), whole.indices)
    assert [row for part in parts for row in part.rows] == list(whole.rows)


@given(CAMERAS, st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6))
@LAWS
def test_cross_camera_partners(cameras, draws):
    images = list(range(len(cameras)))
    anchor, *partners = cross_camera(images, cameras, draws)
    allowed = {
        i for i in images if i != anchor and (cameras[i] != cameras[anchor] or cameras[anchor] == UNKNOWN_CAMERA)
    }
    others = set(images) - {anchor}
    assert set(partners) <= (allowed or others or {anchor})
    pool = allowed or others
    if len(pool) >= len(draws):
        assert len(set(partners)) == len(partners)


@given(st.integers(1, 6), st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
@LAWS
def test_spread_uses_every_image_before_one_comes_again(size, draws):
    counts = Counter(spread(list(range(size)), draws))
    assert sum(counts.values()) == len(draws)
    assert max(counts.values()) - min(counts[image] for image in range(size)) <= 1


def test_each_pass_has_an_order_of_its_own():
    records = people([[0, 1]] * 8)
    owners = [
        [records[index].identity for step in range(4 * number, 4 * number + 4) for index in plans.plan(step).indices]
        for plans in [sampler(records, 2, 1)]
        for number in range(20)
    ]
    assert len(set(map(tuple, owners))) == 20
    firsts = Counter(sampler(records, 1, 1).plan(8 * number).indices[0] // 2 for number in range(1600))
    np.testing.assert_allclose([firsts[identity] / 1600 for identity in range(8)], 1 / 8, atol=0.03)


def test_seeds_domains_and_passes_differ():
    records = people([[0, 1, 2, 0]] * 12)
    base = np.concatenate([plan.indices for plan in islice(sampler(records), 6)])
    later = np.concatenate([plan.indices for plan in islice(sampler(records, start_step=lambda: 6), 6)])
    for other in (
        later,
        np.concatenate([plan.indices for plan in islice(sampler(records, seed=1), 6)]),
        np.concatenate([plan.indices for plan in islice(sampler(records, domain="b"), 6)]),
    ):
        assert not np.array_equal(base, other)


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["kind"])
def test_cross_camera_statistics_of_the_release(case):
    k, epochs = case["num_instances"], 3000
    records = [ReIDRecord(Path(name), identity, camera) for name, identity, camera in case["data"]]
    identities = len(case["per_pid"])
    draws = sampler(records, identities, k)
    groups = np.array([draws.plan(step).indices.reshape(identities, k) for step in range(epochs)])
    owner = np.array([record.identity for record in records])
    camera = np.array([record.camera for record in records])
    compared = 0
    for name, recorded in case["per_pid"].items():
        if recorded["images"] == 1:  # the release shows it once; here it fills its group
            continue
        mine = groups[owner[groups[..., 0]] == int(name)]
        assert len(mine) == epochs
        for key, value in statistics(mine, camera).items():
            assert value == pytest.approx(recorded[key], abs=0.04), (name, key)
            compared += 1
    assert compared == 4 * sum(recorded["images"] > 1 for recorded in case["per_pid"].values())


def statistics(groups, camera):
    """Shares of groups (N, K) with a property; the names are the fixture's."""
    anchors, partners = groups[:, :1], groups[:, 1:]
    return {
        "frac_any_duplicate": np.mean([len(set(group)) < len(group) for group in groups.tolist()]),
        "frac_dup_among_partners": np.mean([len(set(group)) < len(group) for group in partners.tolist()]),
        "frac_anchor_repeated": (partners == anchors).any(1).mean(),
        "frac_partner_shares_anchor_cam": (camera[partners] == camera[anchors]).any(1).mean(),
    }


def test_anchors_are_uniform():
    records = people([[0, 1, 1, 2, 2], [0, 1]])
    anchors = Counter(plan.indices[0] for plan in islice(sampler(records, 1, 2), 4000) if plan.indices[0] < 5)
    np.testing.assert_allclose([anchors[i] / anchors.total() for i in range(5)], 0.2, atol=0.04)


def test_an_identity_with_one_image_shows_it_k_times():
    records = people([[0], [1, 2]])
    for sampling in ("cross_camera", "uniform"):
        plans = list(islice(sampler(records, 2, 4, sampling), 5))
        assert all(Counter(plan.indices.tolist())[0] == 4 for plan in plans)


@pytest.mark.parametrize(
    ("cameras", "kwargs", "message"),
    [
        ([[0, 1]] * 3, {"p": 4}, "a has 3 training identities, fewer than identities_per_batch=4; set it to at most 3"),
        ([[0, 1]] * 9, {"p": 6, "world_size": 4}, "identities_per_batch=6 on 4 processes.*multiple.*set it to 8"),
        ([[0]] * 4, {"k": 2}, "one image of each identity, so images_per_identity=2.*set images_per_identity=1"),
        ([[0, 1]] * 4, {"sampling": "cross_cam"}, "sampling=cross_cam.*did you mean 'cross_camera'"),
        ([[0, 1]] * 4, {"k": 0}, "2 identities x 0 images; both .* must be at least 1"),
        ([], {}, "a has 0 training identities"),
    ],
)
def test_what_cannot_be_sampled_is_refused(cameras, kwargs, message):
    with pytest.raises(InputError, match=message):
        sampler(people(cameras), **kwargs)


def test_one_image_each_is_fine_with_k_of_one():
    assert len(sampler(people([[0]] * 4), k=1).plan(0).indices) == 2
