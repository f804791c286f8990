from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranked_lists import ranked_queries, telling_queries, write_queries
from dgreid.evaluation.ranking import RetrievalResult, evaluate_embeddings
from dgreid.types import ReIDRecord


def result_of(precisions):
    precisions = np.array(precisions, float)
    valid = ~np.isnan(precisions)
    first = np.where(valid, 3, 0)
    return RetrievalResult(float(np.nanmean(precisions)), np.ones(50), 1.0, precisions, first, valid)


NAN = float("nan")


@pytest.mark.parametrize(
    ("precisions", "chosen"),
    [
        ([NAN, 0.2, 0.9, NAN, 0.5, 0.1, 0.7], {"best": 2, "median": 4, "worst": 5}),
        ([0.5, 0.5, 0.5], {"best": 0, "median": 1, "worst": 2}),
        ([0.4, NAN, 0.6], {"best": 2, "median": 0}),
        ([NAN, 0.6], {"best": 1}),
    ],
)
def test_best_median_and_worst(precisions, chosen):
    assert telling_queries(result_of(precisions)) == chosen


def problem():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(40, 5, generator=generator), dim=1)
    identities = torch.randint(0, 5, (40,), generator=generator)
    cameras = torch.randint(0, 3, (40,), generator=generator)
    records = [ReIDRecord(Path(f"{k}.jpg"), int(identities[k]), int(cameras[k])) for k in range(40)]
    labels = Labels(identities[:8], cameras[:8]), Labels(identities[8:], cameras[8:])
    return embeddings, records, evaluate_embeddings(embeddings[:8], embeddings[8:], *labels)


def test_lists_agree_with_the_figures():
    embeddings, records, result = problem()
    every = {str(row): row for row in range(8)}
    for row, ranked in enumerate(ranked_queries(every, result, embeddings, records, k=32)):
        assert ranked.query == records[row]
        assert ranked.title == str(row)
        assert ranked.average_precision == result.average_precision[row]
        assert list(ranked.correct) == [match.identity == ranked.query.identity for match in ranked.matches]
        assert ranked.correct.index(True) + 1 == result.first_rank[row]
        own_camera = (ranked.query.identity, ranked.query.camera)
        assert own_camera not in [(match.identity, match.camera) for match in ranked.matches]
        others = [record for record in records[8:] if (record.identity, record.camera) != own_camera]
        assert sorted(map(str, others)) == sorted(map(str, ranked.matches))
    assert len(ranked_queries({"best": 0}, result, embeddings, records)[0].matches) == 10


def test_a_row_each_is_needed():
    embeddings, records, result = problem()
    with pytest.raises(InputError, match="40 embeddings but 39 images"):
        ranked_queries({"best": 0}, result, embeddings, records[:-1])


def test_the_table_of_queries(tmp_path):
    records = [ReIDRecord(Path(f"a folder/q,{k}.jpg"), 7 + k, k - 1) for k in range(3)]
    path = write_queries(tmp_path / "queries.csv", records, result_of([0.1, NAN, 1 / 3]))
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["path", "identity", "camera", "AP", "first_rank"]
    assert rows[1] == ["a folder/q,0.jpg", "7", "-1", "0.1", "3"]
    assert rows[2] == ["a folder/q,1.jpg", "8", "0", "", ""]
    assert rows[3][:3] == ["a folder/q,2.jpg", "9", "1"]
    assert float(rows[3][3]) == 1 / 3
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="2 images but figures of 3 queries"):
        write_queries(path, records[:2], result_of([0.1, NAN, 0.2]))
