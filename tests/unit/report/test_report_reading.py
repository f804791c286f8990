"""Folders of runs: found once each, and anything else than a run's files is refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_runs import make_run

from dgreid.errors import InputError
from dgreid.report.reading import read_queries, read_run, run_folders


def test_runs_are_found_wherever_they_lie_once(tmp_path):
    for place in ("a/seed0", "a/seed1", "b"):
        make_run(tmp_path / place)
    make_run(tmp_path / "a/seed0/evaluations/inner")  # what a run keeps is no run of its own
    make_run(tmp_path / ".sweeps" / "c")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "config.yaml").write_text("a: 1")  # some other program's
    found = [folder.relative_to(tmp_path).as_posix() for folder in run_folders([tmp_path, tmp_path / "b"])]
    assert found == ["a/seed0", "a/seed1", "b"]


def test_a_place_without_runs(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder; give folders of runs"):
        run_folders([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"no run there, which is a folder with config.yaml and run.json"):
        run_folders([tmp_path])


def test_a_run(tmp_path):
    run = read_run(make_run(tmp_path / "a", rules={"oracle": 0.9}))
    assert (run.strategy, run.protocol, run.seed, run.targets, run.variant) == (
        "fb", "p3/to_market1501", 0, ["market1501"], (),
    )  # fmt: skip
    assert run.row("market1501")["mAP"] == 0.5
    assert run.row("market1501", "oracle")["mAP"] == 0.9
    assert run.row("market1501", "source") is None
    assert run.row("cuhknp") is None


def test_other_rankings_are_not_the_plain_one(tmp_path):
    folder = make_run(tmp_path / "a")
    content = json.loads((folder / "result.json").read_text())
    content["rows"].insert(0, {**content["rows"][0], "ranking": "re-ranked", "mAP": 0.99})
    (folder / "result.json").write_text(json.dumps(content))
    assert read_run(folder).row("market1501")["mAP"] == 0.5


def test_queries(tmp_path):
    folder = make_run(tmp_path / "a")
    (folder / "queries.csv").write_text("path,identity,camera,AP,first_rank\n/x/1.jpg,3,0,0.5,2\n/x/2.jpg,3,1,,\n")
    found = read_queries(folder, "market1501")
    assert found.names == ("1.jpg", "2.jpg")
    assert found.identities.tolist() == [3, 3]
    assert np.array_equal(found.figure("mAP"), [0.5, np.nan], equal_nan=True)
    assert np.array_equal(found.figure("rank1"), [0, np.nan], equal_nan=True)


def test_several_targets_have_a_list_each(tmp_path):
    folder = make_run(tmp_path / "a")
    (folder / "queries_cuhknp.csv").write_text("path,identity,camera,AP,first_rank\n1.jpg,3,0,0.25,9\n")
    assert read_queries(folder, "cuhknp").average_precision.tolist() == [0.25]


@pytest.mark.parametrize(
    "text",
    [
        "", "a,b\n", "path,identity,camera,AP,first_rank\n1.jpg,3,0,2.0,1\n",
        "path,identity,camera,AP,first_rank\n1.jpg,3,0,0.5,0\n", "path,identity,camera,AP,first_rank\n1.jpg,3,0\n",
        "path,identity,camera,AP,first_rank\n1.jpg,x,0,0.5,1\n",
        "path,identity,camera,AP,first_rank\n1.jpg,99999999999999999999,0,0.5,1\n",
        "path,identity,camera,AP,first_rank\n" + "a" * 200_000 + ",1,0,0.5,1\n",
    ],
)  # fmt: skip
def test_damaged_queries_are_named(tmp_path, text):
    folder = make_run(tmp_path / "a")
    (folder / "queries.csv").write_text(text)
    with pytest.raises(InputError, match=r"queries.csv is damaged .*restore it"):
        read_queries(folder, "market1501")


@pytest.mark.parametrize("name", ["../b/queries", "/etc/passwd", "a/b"])
def test_a_target_is_no_path(tmp_path, name):
    folder = make_run(tmp_path / "a")
    with pytest.raises(InputError, match="is no name of a target"):
        read_queries(folder, name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rows", 3), ("rows", [3]), ("rows", [{"target": "a", "selection": "last", "mAP": 2.0, "rank1": 1.0}]),
        ("rows", [{"target": "a", "selection": "last", "mAP": float("nan"), "rank1": 1.0}]),
        ("rows", [{"target": ["a"], "selection": "last", "mAP": 0.2, "rank1": 1.0}]),
        ("weights", "imagenet"), ("targets", {}), ("environment", []), ("batch", 3), ("steps", "many"),
        ("training_seconds", []), ("steps", 10**400), ("steps", -1), ("batch", {"images": 10**400}),
        ("parameters", None), ("variant", "yes"), ("peak_memory_bytes", 3),
        ("targets", [3]), ("targets", [{"name": "market1501", "query": 3}]), ("targets", [{"name": ["a"]}]),
        ("environment", {"device": {}, "packages": 3}),
    ],
)  # fmt: skip
def test_other_kinds_of_values_are_refused_or_shown_as_text(tmp_path, key, value):
    folder = make_run(tmp_path / "a")
    content = json.loads((folder / "result.json").read_text()) | {key: value}
    (folder / "result.json").write_text(json.dumps(content))
    if key == "environment" and isinstance(value, dict):
        assert read_run(folder).record["environment"] == value
        return
    with pytest.raises(InputError, match=rf"result.json is damaged \(another kind of value: {key}\); restore it"):
        read_run(folder)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "seed: x\nsources: [a]\ntarget: b\nstrategy: {}",
        "[",
        "&a [*a]",
        "seed: 0\nsources: [a]\ntarget: []\nstrategy: {}",
    ],
)
def test_no_runs_configuration(tmp_path, text):
    folder = make_run(tmp_path / "a")
    (folder / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"config.yaml is (no run's configuration|damaged)"):
        read_run(folder)


def test_nothing_in_a_configuration_is_looked_up(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    folder = make_run(tmp_path / "a", config={"optim": {"lr": "${oc.env:SECRET}", "_target_": "os.system"}})
    assert "hunter2" not in str(read_run(folder))
