"""What an evaluation takes over from its run, and what it leaves as it was typed."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from dgreid.run import evaluating
from dgreid.run.evaluating import as_in_the_run

SIZE = {"seed": 0, "images_per_identity": 8}
RUN = {
    "synthetic": {"seed": 3, "images_per_identity": 4},
    "domain": {"cuhknp": {"crops": "labeled"}},
    "target": "cuhknp",
    "data": {"workers": 4, "cache": "disk", "test_batch_size": 7},
    "use": "train",
    "seed": 5,
    "metric": {"flip": True, "search": "faiss"},
    "reranking": {"k1": 9},
}
EVALUATION = {
    "synthetic": SIZE,
    "domain": {"cuhknp": {"crops": "detected"}},
    "target": None,
    "workers": 0,
    "batch_size": None,
    "metric": {"flip": False, "search": "blocks"},
    "reranking": None,
    "expansion": None,
}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], {"seed": 3, "images_per_identity": 4}),
        (["synthetic.seed=0"], {"seed": 0, "images_per_identity": 4}),
        (["synthetic=demo"], SIZE),
    ],
)
def test_the_benchmark_is_the_run_s_unless_another_was_typed(typed, expected, monkeypatch):
    monkeypatch.setattr(evaluating, "task_overrides", lambda: typed)
    taken = as_in_the_run(OmegaConf.create(EVALUATION), OmegaConf.create(RUN))
    assert taken.synthetic == expected
    assert taken.domain.cuhknp.crops == "labeled"
    assert (taken.target, taken.data.test_batch_size, taken.data.cache) == ("cuhknp", 7, "none")


@pytest.mark.parametrize(
    ("typed", "metric", "reranking"),
    [
        ([], {"flip": True, "search": "faiss"}, {"k1": 9}),
        (["metric.search=blocks"], {"flip": True, "search": "blocks"}, {"k1": 9}),
        (["metric=default", "reranking=none"], {"flip": False, "search": "blocks"}, None),
    ],
)
def test_what_is_counted_is_the_run_s_unless_typed(typed, metric, reranking, monkeypatch):
    monkeypatch.setattr(evaluating, "task_overrides", lambda: typed)
    taken = as_in_the_run(OmegaConf.create(EVALUATION), OmegaConf.create(RUN))
    assert (taken.metric, taken.reranking, taken.expansion) == (metric, reranking, None)


@pytest.mark.parametrize(("typed", "k1"), [([], 9), (["reranking=k_reciprocal", "reranking.k1=7"], 7)])
def test_a_re_ranking_of_one_s_own_is_not_the_run_s(typed, k1, monkeypatch):
    """In a configuration the metric's re-ranking follows the group's; a run's is stored in both places."""
    monkeypatch.setattr(evaluating, "task_overrides", lambda: typed)
    own = EVALUATION | {"metric": {"flip": False, "reranking": "${reranking}"}, "reranking": {"k1": 7}}
    of_the_run = RUN | {"metric": {"flip": True, "reranking": RUN["reranking"]}}
    taken = as_in_the_run(OmegaConf.create(own), OmegaConf.create(of_the_run))
    assert taken.metric == {"flip": True, "reranking": {"k1": k1}}
    assert taken.reranking == {"k1": k1}


def test_checkpoint_files_of_one_name_stay_apart(tmp_path):
    one, two = (evaluating._short_name(str(tmp_path / folder / "last.ckpt")) for folder in "ab")
    assert len({one, two, evaluating._short_name("last")}) == 3
    assert one.startswith("last-")
