"""What an evaluation may be asked for is refused when it is asked for, not after training and embedding."""

from __future__ import annotations

import numpy as np
import pytest
from retrieval_problems import problem

from dgreid.errors import InputError
from dgreid.evaluation.expansion import average_query_expansion
from dgreid.evaluation.ranking import evaluate_blocks, evaluate_embeddings
from dgreid.evaluation.reranking import reranked_blocks
from dgreid.evaluation.scoring import Expansion, Reranking, Scoring
from dgreid.evaluation.similarity import matrix_blocks


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda: Expansion(k=0), "k=0: give a whole number of gallery images"),
        (lambda: Expansion(alpha=-1), "alpha=-1: give a number of 0"),
        (lambda: Reranking(k1=0), "k1=0: give a whole number of images"),
        (lambda: Reranking(k2=2.5), r"k2=2\.5: give a whole number of images"),
        (lambda: Reranking(weight=1.5), r"weight=1\.5: give the share"),
        (lambda: Reranking(distance="cosine"), r"reranking\.distance=cosine: .*euclidean, squared"),
        (lambda: Scoring(memory_limit=float("nan")), r"metric\.memory_limit=nan"),
        (lambda: Scoring(flip=1), r"metric\.flip=1: true or false"),
        (lambda: Scoring(false_accept_rates=(0.1, 1.0)), r"metric\.false_accept_rates=\[0\.1, 1\.0\]: 1\.0 is no rate"),
    ],
)
def test_choices_out_of_range_are_refused(choose, message):
    with pytest.raises(InputError, match=message):
        choose()


def test_rankings_are_those_of_the_functions_they_name():
    _, *labels = problem(3, identities=4)
    query, gallery = (np.random.default_rng(seed).standard_normal((len(labels[seed][0]), 5)) for seed in (0, 1))
    scoring = Scoring(expansion=Expansion(3, 1.0), reranking=Reranking(5, 2, 0.5, "squared"), same_camera="keep")
    found = {name: scoring.score(block, *labels) for name, block in scoring.rankings(query, gallery)}
    wider = average_query_expansion(query, gallery, 3, 1.0)
    expected = {
        "cosine": evaluate_embeddings(query, gallery, *labels, "keep"),
        "expanded": evaluate_embeddings(wider, gallery, *labels, "keep"),
        "expanded, re-ranked": evaluate_blocks(reranked_blocks(wider, gallery, 5, 2, 0.5, "squared"), *labels, "keep"),
    }
    assert list(found) == list(expected)
    for name, result in expected.items():
        np.testing.assert_array_equal(found[name].average_precision, result.average_precision)
    alone = Scoring(reranking=Reranking())
    assert [name for name, _ in alone.rankings(query, gallery)] == ["cosine", "re-ranked"]


def test_further_figures_are_taken_where_they_are_asked_for():
    scores, *labels = problem(3)
    block = matrix_blocks(scores)
    assert list(Scoring().figures(block, *labels)) == ["verification"]
    assert Scoring(false_accept_rates=()).figures(block, *labels) == {}
    asked = Scoring(false_accept_rates=(), single_shot_repeats=2, camera_pairs=True).figures(block, *labels)
    assert list(asked) == ["single_shot", "camera_pairs"]
    assert asked["single_shot"]["single_shot_repeats"] == 2
