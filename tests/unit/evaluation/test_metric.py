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
from dgreid.evaluation.ranking import evaluate_embeddings

QUERIES, IMAGES = 10, 50


def problem():
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.nn.functional.normalize(torch.randn(IMAGES, 6, generator=generator), dim=1)
    identities = torch.randint(0, 5, (IMAGES,), generator=generator)
    cameras = torch.randint(0, 3, (IMAGES,), generator=generator)
    return embeddings, identities, cameras


def expected():
    embeddings, identities, cameras = problem()
    return evaluate_embeddings(
        embeddings[:QUERIES],
        embeddings[QUERIES:],
        Labels(identities[:QUERIES], cameras[:QUERIES]),
        Labels(identities[QUERIES:], cameras[QUERIES:]),
    )


def filled_metric(indices):
    embeddings, identities, cameras = problem()
    metric = RetrievalMetric(identities, cameras, QUERIES)
    for batch in torch.as_tensor(indices, dtype=torch.int64).split(8):
        metric.update(embeddings[batch], batch)
    return metric


def assert_expected(result):
    for one, other in zip(result, expected(), strict=True):
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


def _rank(rank, splits, store, folder):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    for split in splits:
        assert_expected(filled_metric(split[rank]).compute())
    with pytest.raises(InputError, match="2 of 50"):  # on both ranks, and neither hangs
        filled_metric(range(2, 20) if rank == 0 else range(20, IMAGES)).compute()
    (folder / f"rank{rank}").touch()
    dist.destroy_process_group()


def test_two_processes_give_the_numbers_of_one(tmp_path):
    everything = list(range(IMAGES))
    splits = [
        (everything[:37], everything[37:]),
        ([*everything[::2], 1, 1, 3], [*everything[1::2], 0, 2]),  # a sampler's padding
        ([], everything),
        (everything, []),
    ]
    mp.spawn(_rank, args=(splits, tmp_path / "store", tmp_path), nprocs=2)
    assert (tmp_path / "rank0").exists()
    assert (tmp_path / "rank1").exists()
