from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from dgreid.errors import InputError
from dgreid.evaluation.observations.embedding_map import MOST_COLOURED, MOST_OF_A_PERSON, plane_of, sample_images
from dgreid.types import ReIDRecord


def problem(people=60, seed=0):
    """Images whose embedding says which they are, of people of whom some are searched for and one is very frequent."""
    rng = np.random.default_rng(seed)
    gallery = np.concatenate([rng.integers(10, 10 + people, 6 * people), np.full(200, 7)])
    identities = np.concatenate([np.arange(10, 10 + people // 2), gallery]).tolist()
    records = [
        ReIDRecord(Path(f"{k}.jpg"), identity, int(rng.integers(-1, 4))) for k, identity in enumerate(identities)
    ]
    return torch.arange(len(records))[:, None] * torch.ones(1, 3), records, people // 2


def test_people_are_drawn_whole():
    embeddings, records, queries = problem()
    sample = sample_images(embeddings, records, queries, images=10_000)
    rows = sample.embeddings[:, 0].astype(int)
    assert len(set(rows)) == len(rows)
    assert sample.identities.tolist() == [records[row].identity for row in rows]
    assert sample.cameras.tolist() == [records[row].camera for row in rows]
    everybody = Counter(record.identity for record in records)
    assert Counter(sample.identities.tolist()) == {
        person: min(count, MOST_OF_A_PERSON) for person, count in everybody.items()
    }
    changes = np.count_nonzero(np.diff(sample.identities))
    assert changes == len(everybody) - 1  # images of a person are together


def test_people_who_are_searched_for_come_first_and_are_coloured():
    embeddings, records, queries = problem()
    sample = sample_images(embeddings, records, queries)
    assert len(set(sample.shown)) == MOST_COLOURED
    assert set(sample.shown) <= {record.identity for record in records[:queries]}
    assert list(dict.fromkeys(sample.identities.tolist()))[:MOST_COLOURED] == sample.shown


def test_a_smaller_sample_is_the_beginning():
    embeddings, records, queries = problem()
    whole, small = (sample_images(embeddings, records, queries, images) for images in (10_000, 33))
    assert len(small.identities) == 33
    for one, other in zip(small, whole.first(33), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_seed_decides_who_is_drawn():
    embeddings, records, queries = problem()
    samples = [sample_images(embeddings, records, queries, seed=seed).identities.tolist() for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]


def test_an_embedding_for_each_image_is_needed():
    embeddings, records, queries = problem()
    with pytest.raises(InputError, match=f"{len(records)} embeddings but {len(records) - 1} images"):
        sample_images(embeddings, records[:-1], queries)


def test_people_who_lie_apart_stay_apart():
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(6), 15)
    embeddings = (10 * rng.standard_normal((6, 80)))[owners] + rng.standard_normal((90, 80))
    places = plane_of(embeddings.astype(np.float32))
    assert places.shape == (90, 2)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (owners[distances.argmin(axis=1)] == owners).all()
    np.testing.assert_array_equal(plane_of(embeddings.astype(np.float32)), places)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 31])
@pytest.mark.parametrize("width", [1, 2, 70])
def test_small_sets_have_places_too(count, width):
    embeddings = np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)
    places = plane_of(embeddings)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
    assert len(np.unique(places, axis=0)) == count


def test_images_that_are_all_alike_lie_on_one_place():
    np.testing.assert_allclose(plane_of(np.ones((12, 8), np.float32)), 0, atol=1e-6)
