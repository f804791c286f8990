from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from dgreid.errors import InputError
from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranked_lists import (
    labels_of,
    ranked_queries,
    telling_queries,
    write_queries,
)
from dgreid.evaluation.ranking import evaluate_embeddings, evaluate_similarities
from dgreid.evaluation.similarity import embedding_blocks, matrix_blocks
from dgreid.types import ReIDRecord


def result_of(precisions):
    precisions = np.array(precisions, float)
    valid = ~np.isnan(precisions)
    whole = evaluate_similarities(np.ones((1, 1)), *[Labels(np.zeros(1, int), np.array([k])) for k in range(2)])
    return whole._replace(average_precision=precisions, first_rank=np.where(valid, 3, 0), valid=valid)


NAN = float("nan")


@pytest.mark.parametrize(
    ("precisions", "chosen"),
    [
        ([NAN, 0.2, 0.9, NAN, 0.5, 0.1], {"best 1": 2, "best 2": 4, "worst 1": 5, "worst 2": 1}),
        ([0.5, 0.5, 0.5, 0.5], {"best 1": 0, "best 2": 1, "worst 1": 3, "worst 2": 2}),
        ([0.4, NAN, 0.6, 0.3], {"best 1": 2, "best 2": 0, "worst 1": 3}),
        ([NAN, 0.6], {"best 1": 1}),
    ],
)
def test_the_best_and_the_worst(precisions, chosen):
    assert telling_queries(result_of(precisions)) == chosen


def test_some_of_the_others_are_drawn():
    result = result_of([0.9, 0.1, *[0.5] * 40, NAN])
    seeds = [telling_queries(result, each=1, seed=seed) for seed in range(20)]
    assert all(chosen["best 1"] == 0 and chosen["worst 1"] == 1 for chosen in seeds)
    assert all(2 <= chosen["random 1"] < 42 for chosen in seeds)
    assert len({chosen["random 1"] for chosen in seeds}) > 5
    assert telling_queries(result, each=1, seed=3) == seeds[3]
    several = telling_queries(result, each=5)
    assert len(set(several.values())) == len(several) == 15


def problem():
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(40, 5, generator=generator), dim=1)
    identities = torch.randint(0, 5, (40,), generator=generator)
    cameras = torch.randint(0, 3, (40,), generator=generator)
    records = [ReIDRecord(Path(f"{k}.jpg"), int(identities[k]), int(cameras[k])) for k in range(40)]
    labels = Labels(identities[:8], cameras[:8]), Labels(identities[8:], cameras[8:])
    return embeddings, records, evaluate_embeddings(embeddings[:8], embeddings[8:], *labels)


@pytest.mark.parametrize("same_camera", ["ignore", "keep"])
def test_lists_agree_with_the_figures(same_camera):
    embeddings, records, _ = problem()
    labels = labels_of(records[:8]), labels_of(records[8:])
    similarities = (embeddings[:8] @ embeddings[8:].T).numpy()
    result = evaluate_similarities(similarities, *labels, same_camera=same_camera)
    every = {str(row): row for row in range(8)}
    for row, ranked in enumerate(ranked_queries(every, result, matrix_blocks(similarities), records, 32, same_camera)):
        assert ranked.query == records[row]
        assert ranked.title == str(row)
        assert ranked.average_precision == result.average_precision[row]
        own_camera = [(m.identity, m.camera) == (ranked.query.identity, ranked.query.camera) for m in ranked.matches]
        assert ranked.ignored == [own and same_camera == "ignore" for own in own_camera]
        counted = [place for place, ignored in enumerate(ranked.ignored) if not ignored]
        right = [ranked.correct[place] for place in counted]
        assert right == [ranked.matches[place].identity == ranked.query.identity for place in counted]
        assert not any(ranked.correct[place] for place, ignored in enumerate(ranked.ignored) if ignored)
        assert right.index(True) + 1 == result.first_rank[row]
        by_name = {record.path: float(score) for record, score in zip(records[8:], similarities[row], strict=True)}
        assert ranked.scores == pytest.approx([by_name[match.path] for match in ranked.matches], abs=1e-6)
        assert ranked.scores == sorted(ranked.scores, reverse=True)


def test_a_list_has_ten_that_count_and_at_most_three_that_do_not():
    records = [ReIDRecord(Path(f"{k}.jpg"), 1, 0) for k in range(6)]
    records += [ReIDRecord(Path(f"other {k}.jpg"), 2 + k % 3, k) for k in range(20)] + [ReIDRecord(Path("x"), 1, 9)]
    similarities = np.linspace(1, 0, len(records) - 1)[None]
    result = evaluate_similarities(similarities, labels_of(records[:1]), labels_of(records[1:]))
    (ranked,) = ranked_queries({"best": 0}, result, matrix_blocks(similarities), records)
    assert [match.path.name for match in ranked.matches] == [
        *(f"{k}.jpg" for k in (1, 2, 3)), *(f"other {k}.jpg" for k in range(10)),
    ]  # fmt: skip
    assert ranked.ignored == [True] * 3 + [False] * 10


def test_lists_of_other_similarities_follow_those():
    embeddings, records, result = problem()
    similarities = (embeddings[:8] @ embeddings[8:].T).numpy()
    chosen = {"best": 3, "worst": 1}
    best, worst = ranked_queries(chosen, result, matrix_blocks(similarities[[3, 1]]), records, k=40)
    for row, one in ((3, best), (1, worst)):
        assert one.matches[0] == records[8 + int(similarities[row].argmax())]
    turned = ranked_queries(chosen, result, matrix_blocks(-similarities[[3, 1]]), records, k=40)
    for row, one in ((3, turned[0]), (1, turned[1])):
        assert one.matches[0] == records[8 + int(similarities[row].argmin())]


def test_a_row_each_is_needed():
    embeddings, records, result = problem()
    block = embedding_blocks(embeddings[:1], embeddings[8:])
    with pytest.raises(InputError, match=r"have shape \(1, 32\), expected \(1, 31\)"):
        ranked_queries({"best": 0}, result, block, records[:-1])


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
