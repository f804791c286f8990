"""The metric shell: any order of batches, duplicates, and any split over processes give one-process numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.metric import RetrievalMetric
from dgreid.evaluation.ranking import evaluate_blocks, evaluate_embeddings
from dgreid.evaluation.scoring import Reranking, Scoring

QUERIES, IMAGES = 10, 50


def problem():
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.nn.functional.normalize(torch.randn(IMAGES, 6, generator=generator), dim=1)
    identities = torch.randint(0, 5, (IMAGES,), generator=generator)
    cameras = torch.randint(0, 3, (IMAGES,), generator=generator)
    return embeddings, identities, cameras


def expected(**options):
    embeddings, identities, cameras = problem()
    return evaluate_embeddings(
        embeddings[:QUERIES],
        embeddings[QUERIES:],
        Labels(identities[:QUERIES], cameras[:QUERIES]),
        Labels(identities[QUERIES:], cameras[QUERIES:]),
        **options,
    )


def filled_metric(indices, dtype=torch.float32, **options):
    embeddings, identities, cameras = problem()
    embeddings = embeddings.to(dtype)
    metric = RetrievalMetric(identities, cameras, QUERIES, Scoring(**options))
    for batch in torch.as_tensor(indices, dtype=torch.int64).split(8):
        metric.update(embeddings[batch], batch)
    return metric


def assert_expected(result, **options):
    for one, other in zip(result, expected(**options), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batches_in_any_order_with_duplicates():
    order = torch.randperm(IMAGES).tolist()
    metric = filled_metric([*order, *order[:7]])
    assert_expected(metric.compute())
    torch.testing.assert_close(metric.embeddings, problem()[0], rtol=0, atol=0)


def test_one_query_keeps_its_axis():
    embeddings, identities, cameras = torch.eye(3), torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    metric = RetrievalMetric(identities, cameras, 1)
    metric.update(embeddings, torch.arange(3))
    assert metric.compute().average_precision.shape == (1,)


def test_float64_stays_float64_and_half_becomes_float32():
    embeddings, identities, cameras = problem()
    for given, kept in ((torch.float64, torch.float64), (torch.bfloat16, torch.float32)):
        metric = RetrievalMetric(identities, cameras, QUERIES)
        metric.update(embeddings.to(given), torch.arange(IMAGES))
        assert metric.embeddings.dtype == kept


def test_the_camera_rule_and_the_memory_are_passed_on():
    kept = filled_metric(range(IMAGES), same_camera="keep").compute()
    assert_expected(kept, same_camera="keep")
    assert kept.mean_average_precision != expected().mean_average_precision
    with pytest.raises(InputError, match=r"memory_limit=0\.0001: one query against 40 gallery images needs 1 MiB"):
        filled_metric(range(IMAGES), memory_limit=0.0001).compute()


def test_its_similarities_serve_other_figures():
    metric = filled_metric(range(IMAGES))
    result = evaluate_blocks(metric.score_block, metric.query_labels, metric.gallery_labels)
    assert_expected(result)
    with pytest.raises(InputError, match="3 of 50 images have no embedding"):
        _ = filled_metric(range(3, IMAGES)).score_block


def test_missing_images_are_counted():
    metric = filled_metric(range(3, IMAGES))
    with pytest.raises(InputError, match="3 of 50 images have no embedding"):
        metric.compute()
    with pytest.raises(InputError, match="3 of 50"):
        _ = metric.embeddings


def test_reset_forgets():
    metric = filled_metric(range(IMAGES))
    metric.compute()
    metric.reset()
    metric.update(problem()[0][:1], torch.tensor([0]))
    with pytest.raises(InputError, match="49 of 50"):
        metric.compute()


def test_bad_batches_are_refused():
    metric = filled_metric(range(8))
    for embeddings, indices, message in (
        (torch.ones(2, 6), torch.tensor([0, IMAGES]), r"indices 0\.\.50 in a data set of 50"),
        (torch.ones(2, 6), torch.tensor([-1, 3]), r"indices -1\.\.3"),
        (torch.ones(2, 5), torch.tensor([0, 1]), "width 5 after others of width 6"),
        (torch.ones(2, 6), torch.tensor([0]), r"give \(B, D\) and \(B,\)"),
    ):
        with pytest.raises(InputError, match=message):
            metric.update(embeddings, indices)
    with pytest.raises(InputError, match="50 queries among 50 images"):
        RetrievalMetric(*problem()[1:], query_count=50)


def test_sets_that_could_not_be_scored_are_refused_before_anything_is_embedded():
    _, identities, cameras = problem()
    with pytest.raises(InputError, match=r"gallery: identities have shape \(40,\) and cameras \(39,\)"):
        RetrievalMetric(identities, cameras[:-1], QUERIES)
    with pytest.raises(InputError, match=r"memory_limit=0\.001: one query against 40 gallery images needs 1 MiB"):
        RetrievalMetric(identities, cameras, QUERIES, Scoring(memory_limit=0.001))
    wide = torch.arange(20_001), torch.zeros(20_001, dtype=torch.int64)
    RetrievalMetric(*wide, 1, Scoring(memory_limit=1))
    with pytest.raises(InputError, match=r"memory_limit=1: re-ranking one query .* needs 2 MiB"):
        RetrievalMetric(*wide, 1, Scoring(memory_limit=1, reranking=Reranking()))


def test_called_as_a_function_it_takes_a_batch_and_keeps_those_before():
    metric = filled_metric(range(30))
    assert metric(problem()[0][30:], torch.arange(30, IMAGES)) is None
    assert_expected(metric.compute())


def _rank(rank, world_size, splits, store, folder):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world_size)
    torch.set_num_threads(1)
    for split in splits:
        assert_expected(filled_metric(split[rank]).compute())
        assert_expected(filled_metric(split[rank], same_camera="keep").compute(), same_camera="keep")
        metric = filled_metric(split[rank], dtype=torch.float64)
        metric.compute()
        if rank == 0:
            torch.testing.assert_close(metric.embeddings, problem()[0].double(), rtol=0, atol=0)
    incomplete = [range(2, 20), range(20, IMAGES), []][rank]
    with pytest.raises(InputError, match="2 of 50"):  # on all ranks, and none hangs
        filled_metric(incomplete).compute()
    metric = RetrievalMetric(*problem()[1:], QUERIES)
    metric.update(torch.ones(1, 5 + rank), torch.tensor([rank]))
    with pytest.raises(InputError, match=r"embeddings of widths \[5, 6.* on different ranks"):
        metric.compute()
    (folder / f"rank{rank}").touch()
    dist.destroy_process_group()


EVERYTHING = list(range(IMAGES))
SPLITS = {
    2: [
        (EVERYTHING[:37], EVERYTHING[37:]),
        ([*EVERYTHING[::2], 1, 1, 3], [*EVERYTHING[1::2], 0, 2]),  # a sampler's padding
        ([], EVERYTHING),
        (EVERYTHING, []),
    ],
    3: [
        (EVERYTHING[:5], EVERYTHING[5:6], EVERYTHING[6:]),
        ([*EVERYTHING[::2], 1], [], [*EVERYTHING[1::2], 0, 2, 2]),  # an empty rank among padded ones
    ],
}


@pytest.mark.parametrize("world_size", SPLITS)
def test_several_processes_give_the_numbers_of_one(tmp_path, world_size):
    mp.spawn(_rank, args=(world_size, SPLITS[world_size], tmp_path / "store", tmp_path), nprocs=world_size)
    assert all((tmp_path / f"rank{rank}").exists() for rank in range(world_size))
