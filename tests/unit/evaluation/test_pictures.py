"""All pictures of an evaluation from what is known after it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgreid.evaluation.pictures import evaluation_pictures, observe
from dgreid.evaluation.ranked_lists import labels_of
from dgreid.evaluation.ranking import evaluate_similarities
from dgreid.evaluation.similarity import embedding_blocks
from dgreid.types import ReIDRecord


def problem(queries=6, gallery=40, people=4, seed=0):
    rng = np.random.default_rng(seed)
    count = queries + gallery
    embeddings = rng.standard_normal((count, 6)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    records = [ReIDRecord(Path(f"{k}.jpg"), k % people, int(rng.integers(-1, 3))) for k in range(count)]
    return embeddings, records, queries


def observed(embeddings, records, queries, with_map=True):
    block = embedding_blocks(embeddings[:queries], embeddings[queries:])
    labels = labels_of(records[:queries]), labels_of(records[queries:])
    result = evaluate_similarities(embeddings[:queries] @ embeddings[queries:].T, *labels)
    return observe(block, result, records, embeddings if with_map else None), result


def read(path):
    return np.full((32, 16, 3), int(path.stem), np.uint8)


@pytest.mark.parametrize("shape", [(6, 40, 4), (1, 3, 1), (2, 1, 1)])
def test_each_picture_is_a_file(tmp_path, shape):
    embeddings, records, queries = problem(*shape)
    one, _ = observed(embeddings, records, queries)
    paths = evaluation_pictures(tmp_path, {"night": one, "plaza": one}, read)
    names = {"precision_recall.png", "embeddings.png", "ranked_night.png", "ranked_plaza.png"}
    assert {path.name for path in paths} == names | {"similarities_night.png", "similarities_plaza.png"}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 200


def test_what_is_not_at_hand_is_left_out(tmp_path):
    one, _ = observed(*problem(), with_map=False)
    paths = evaluation_pictures(tmp_path, {"night": one})
    assert [path.name for path in paths] == ["precision_recall.png", "similarities_night.png"]


def test_what_is_observed_belongs_to_the_figures():
    embeddings, records, queries = problem()
    one, result = observed(embeddings, records, queries)
    assert one.precision[0] >= result.mean_average_precision
    assert one.pairs.counts.sum() == 6 * 40
    assert [ranked.title for ranked in one.ranked] == ["best 1", "best 2", "worst 1", "worst 2", "random 1", "random 2"]
    assert one.ranked[0].average_precision == result.average_precision.max()
    for ranked in one.ranked:
        counted = [right for right, ignored in zip(ranked.correct, ranked.ignored, strict=True) if not ignored]
        row = records.index(ranked.query)
        assert True not in counted[: result.first_rank[row] - 1]
    assert len(one.sample.identities) == 46
