"""Batches as a whole: labels, pixels, shards and what a retrieval set says of itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from generated_people import FolderOfPeople, write_people
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.data.images import FileCrops, ImageError
from dgreid.data.row_draws import StepDraws
from dgreid.data.sampling import BatchPlan
from dgreid.data.sets import PlainImages, RetrievalSet, TrainingImages, retrieval_set
from dgreid.data.transforms import TrainTransform
from dgreid.errors import InputError
from dgreid.types import UNKNOWN_CAMERA, ReIDRecord

CROPS = FileCrops(24, 12)


def as_rows(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy()


def record(identity, camera):
    return ReIDRecord(Path("x.jpg"), identity, camera)


def test_a_training_batch_is_the_plan_s_images_augmented(tmp_path):
    records = write_people(tmp_path, [(0, 2), (0, -1), (1, 0), (1, 1)])
    transform = TrainTransform(pad=3)
    plan = BatchPlan(step=4, rows=range(2, 5), indices=np.array([3, 0, 3]))
    batch = TrainingImages(records, CROPS, transform, seed=9, domain="a")[plan]
    expected = transform(CROPS([records[i].path for i in (3, 0, 3)]), StepDraws(9, "a", 4, range(2, 5)))
    np.testing.assert_array_equal(as_rows(batch.images), expected)
    assert batch.images.shape == (3, 3, 24, 12)
    assert batch.images.dtype == torch.uint8
    assert batch.identities.tolist() == [1, 0, 1]
    assert batch.cameras.tolist() == [1, 2, 1]
    assert batch.indices.tolist() == [3, 0, 3]
    assert {t.dtype for t in batch[1:]} == {torch.int64}


def test_a_plain_batch_is_resized_only(tmp_path):
    records = write_people(tmp_path, [(5, 0), (6, 1), (7, 1)])
    batch = PlainImages(records, CROPS)[[2, 0]]
    np.testing.assert_array_equal(as_rows(batch.images), CROPS([records[2].path, records[0].path]))
    assert batch.identities.tolist() == [7, 5]
    assert batch.indices.tolist() == [2, 0]


def test_an_unreadable_training_image_is_named_not_replaced(tmp_path):
    records = write_people(tmp_path, [(0, 0), (0, 1)])
    records[1].path.write_bytes(b"")
    dataset = TrainingImages(records, CROPS, TrainTransform(), seed=0, domain="a")
    with pytest.raises(ImageError, match=records[1].path.name):
        _ = dataset[BatchPlan(0, range(2), np.array([0, 1]))]


def test_a_retrieval_set_counts_queries_then_gallery():
    query, gallery = (record(4, 0), record(5, 1)), (record(5, 0), record(9, 2), record(4, -1))
    retrieval = RetrievalSet("a", query, gallery)
    assert retrieval.records == query + gallery
    assert retrieval.query_count == 2
    assert retrieval.identities.tolist() == [4, 5, 5, 9, 4]
    assert retrieval.cameras.tolist() == [0, 1, 0, 2, -1]


RECORDS = st.lists(st.builds(record, st.integers(0, 3), st.integers(UNKNOWN_CAMERA, 2)), max_size=8).map(tuple)


@given(RECORDS, RECORDS)
@settings(deadline=None, derandomize=True, max_examples=50)
def test_valid_queries_by_looking_at_every_pair(query, gallery):
    def matches(q, g):
        return q.identity == g.identity and (q.camera != g.camera or q.camera == UNKNOWN_CAMERA)

    expected = sum(any(matches(q, g) for g in gallery) for q in query)
    images = RetrievalSet("a", query, gallery)
    assert images.valid_queries == images.answerable("ignore") == expected
    assert images.answerable("keep") == sum(any(q.identity == g.identity for g in gallery) for q in query)


def test_a_target_without_valid_queries_is_refused(tmp_path):
    domain = FolderOfPeople(tmp_path, "station", query=[(1, 0)], gallery=[(1, 0), (2, 1)])
    with pytest.raises(InputError, match=r"station cannot be a target: none of its 1 queries .* mark unknown cameras"):
        retrieval_set(domain)


def test_a_target_is_refused_only_under_the_camera_rule_that_is_used(tmp_path):
    domain = FolderOfPeople(tmp_path, "station", query=[(1, 0), (3, 0)], gallery=[(1, 0), (2, 1)])
    assert retrieval_set(domain, "keep").answerable("keep") == 1
    with pytest.raises(InputError, match=r"none of its 2 queries .* in another camera; .*metric\.same_camera=keep"):
        retrieval_set(domain, "ignore")
    strangers = FolderOfPeople(tmp_path, "strangers", query=[(1, 0)], gallery=[(2, 0)])
    with pytest.raises(InputError, match=r"its 1 gallery images shows; check .*\(`python -m dgreid.data check`\)$"):
        retrieval_set(strangers, "keep")


def test_a_target_s_query_and_gallery(tmp_path):
    domain = FolderOfPeople(tmp_path)
    retrieval = retrieval_set(domain)
    assert retrieval.name == "people"
    assert retrieval.query == domain.records("query")
    assert retrieval.gallery == domain.records("gallery")
    assert retrieval.valid_queries == 3
