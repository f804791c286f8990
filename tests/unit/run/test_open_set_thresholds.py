"""Thresholds for "not in the gallery": from people held out of several sources, against plain loops, and stored."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.evaluation.metric import RetrievalMetric
from dgreid.evaluation.scoring import Scoring
from dgreid.run.folder import RESULT
from dgreid.run.open_set import scores_of, stored_thresholds, thresholds_from

QUERIES, IMAGES, PEOPLE, CAMERAS = 15, 60, 6, 3
RULES = settings(deadline=None, derandomize=True, max_examples=20)


def filled(seed, queries=QUERIES, images=IMAGES, **choices):
    """A metric with a set's embeddings; its first query shows somebody whom the gallery shows in another camera."""
    generator = torch.Generator().manual_seed(seed)
    identities = torch.randint(0, PEOPLE, (images,), generator=generator)
    cameras = torch.randint(0, CAMERAS, (images,), generator=generator)
    identities[0], cameras[0], identities[queries], cameras[queries] = 0, 0, 0, 1
    centres = torch.nn.functional.one_hot(identities, 8).double()
    embeddings = centres + 0.6 * torch.randn(images, 8, generator=generator, dtype=torch.float64)
    metric = RetrievalMetric(identities, cameras, queries, Scoring(**choices))
    metric.update(torch.nn.functional.normalize(embeddings, dim=1), torch.arange(images))
    return metric


def looked_up(metric, same_camera="ignore"):
    """Of each query: its best similarity, whether that is its person, its best of another person, whether it counts."""
    found = []
    (who, where), (whom, there) = metric.query_labels, metric.gallery_labels
    all_similarities = metric.score_block(0, len(who))  # thresholds lie within a rounding error of them
    for query, similarities in enumerate(all_similarities.tolist()):
        same = [bool(whom[column] == who[query]) for column in range(len(whom))]
        left = [
            (similarity, same[column])
            for column, similarity in enumerate(similarities)
            if not (same_camera == "ignore" and same[column] and there[column] == where[query])
        ]
        others = max(similarity for similarity, is_same in left if not is_same)
        found.append((*max(left), others, any(is_same for _, is_same in left)))
    return found


@RULES
@given(st.integers(0, 10_000), st.sampled_from(["ignore", "keep"]))
def test_thresholds_are_the_smallest_that_keep_the_rate_over_all_sources(seed, same_camera):
    held_out = [filled(seed, same_camera=same_camera), filled(seed + 1, 9, 100, same_camera=same_camera)]
    queries = [query for metric in held_out for query in looked_up(metric, same_camera)]
    found = thresholds_from(held_out, (0.3, 0.1, 0.001), step=7)
    assert (found.step, found.flip, found.queries, found.gallery_images) == (7, False, 24, 91)
    assert list(found.by_rate) == list(found.true_accepts) == ["0.3", "0.1", "0.001"]
    others = np.array([other for _, _, other, _ in queries])
    for rate, threshold in found.by_rate.items():
        assert np.mean(others >= threshold) <= float(rate)
        assert np.mean(others >= np.nextafter(threshold, -math.inf)) > float(rate)
        right = [best >= threshold and correct for best, correct, _, counts in queries if counts]
        assert found.true_accepts[rate] == pytest.approx(np.mean(right), abs=1e-12)


@RULES
@given(st.integers(0, 10_000))
def test_what_is_reached_on_a_target_is_counted_there(seed):
    thresholds = thresholds_from([filled(seed)], (0.2, 0.05), step=1)
    target = filled(seed + 2, 20, 90)
    queries = looked_up(target)
    reached = thresholds.reached(scores_of(target))
    assert list(reached) == ["0.2", "0.05"]
    for rate, rates in reached.items():
        threshold = thresholds.by_rate[rate]
        right = [best >= threshold and correct for best, correct, _, counts in queries if counts]
        expected = {
            "TPIR": np.mean(right), "FPIR": np.mean([other >= threshold for _, _, other, _ in queries]),
            "open_set_threshold": threshold,
        }  # fmt: skip
        assert rates == pytest.approx(expected, abs=1e-12)


def test_thresholds_come_back_from_a_result_as_they_were(tmp_path):
    kept = thresholds_from([filled(0, flip=True)], (0.05, 1e-4), step=300)
    (tmp_path / RESULT).write_text(json.dumps({"open_set": kept.record()}))
    assert stored_thresholds(tmp_path) == kept
    assert kept.flip
    assert list(kept.by_rate) == ["0.05", "0.0001"]


@pytest.mark.parametrize("content", [{}, {"open_set": None}])
def test_a_run_that_held_nobody_out_has_none(tmp_path, content):
    assert stored_thresholds(tmp_path) is None
    (tmp_path / RESULT).write_text(json.dumps(content))
    assert stored_thresholds(tmp_path) is None
