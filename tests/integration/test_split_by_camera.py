"""``split_by=camera``: the cameras of a source are domains to train on, for every strategy."""

from __future__ import annotations

import json

import pytest
from interrupted_runs import BrokenOffError, assert_same_run, at_step, break_off
from process_groups import on_processes
from small_runs import composed, evaluate_small, strategies, train_small, typed
from test_commands import command
from test_processes_run import free_port, trained

from dgreid.errors import InputError
from dgreid.run.build import build_data, build_domains
from dgreid.run.load import load_run
from dgreid.run.training import train

# Twelve people, each of them seen by two of the six cameras.
SPLIT = ("sources=[synthetic_plaza]", "split_by=camera", "synthetic.train_identities=12", "data.identities_per_batch=2",
         "epochs=1", "steps_per_epoch=3")  # fmt: skip
CAMERAS = [f"synthetic_plaza_camera{number}" for number in range(1, 7)]


def result(folder):
    return json.loads((folder / "result.json").read_text())


@pytest.mark.parametrize("strategy", strategies())
def test_every_strategy_learns_from_cameras(strategy, data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", *SPLIT, f"strategy={strategy}")
    found = result(folder)
    assert [source["name"] for source in found["sources"]] == CAMERAS
    assert {source["cameras"] for source in found["sources"]} == {1}
    assert sum(source["images"] for source in found["sources"]) == 12 * 4
    assert sum(source["identities"] for source in found["sources"]) == 12 * 2  # a class in each camera
    assert len({source["list_hash"] for source in found["sources"]}) == 6
    assert found["summary"]["synthetic_night"]["step"] == 3
    assert load_run(folder).step == 3


def test_a_named_protocol_is_trained_and_evaluated(data_root, tmp_path):
    size = ("synthetic.train_identities=12", "data.identities_per_batch=2", "epochs=1", "steps_per_epoch=2")
    kept = [word for word in typed(data_root, *size, f"folder={tmp_path / 'run'}") if "sources=" not in word]
    words = [word for word in kept if not word.startswith("target=")]
    train(composed([*words, "protocol=synthetic_cameras/plaza_to_night"]))
    found = result(tmp_path / "run")
    assert found["protocol"] == "synthetic_cameras/plaza_to_night"
    assert [source["name"] for source in found["sources"]] == CAMERAS
    assert all(" of synthetic_plaza, synthetic_night is " in sentence for sentence in found["variant"])
    evaluate_small(data_root, tmp_path / "run", "checkpoint=last")
    (again,) = (tmp_path / "run" / "evaluations").rglob("result.json")
    evaluated = json.loads(again.read_text())
    assert (evaluated["protocol"], evaluated["variant"]) == (found["protocol"], found["variant"])
    assert evaluated["rows"][0]["mAP"] == pytest.approx(found["rows"][0]["mAP"])


def test_people_are_held_out_of_the_whole_source(data_root, tmp_path):
    choice = ("synthetic.train_identities=24", "holdout=0.25", "selection=source", "evaluate_every=1")
    place = "data.cache=disk", f"data.cache_folder={tmp_path / 'crops'}"
    folder = train_small(data_root, tmp_path / "run", *SPLIT, *choice, *place)
    config = composed(typed(data_root, *SPLIT, *choice, *place))
    data = build_data(config, build_domains(config, "sources"), build_domains(config, "target"))
    (held_out,) = data.holdout_sets().values()
    assert list(data.holdout_sets()) == ["synthetic_plaza"]
    assert held_out.answerable("ignore") > 0
    trained_on = [record for source in data.sources.values() for record in source.training_records()]
    assert len({record.path for record in trained_on}) == len(trained_on) == (24 - 6) * 4
    assert not {record.path for record in trained_on} & {record.path for record in held_out.records}
    assert {row["selection"] for row in result(folder)["rows"]} == {"last", "source", "oracle"}


@pytest.mark.parametrize("target", ["synthetic_plaza", "[synthetic_night,synthetic_plaza]"])
def test_the_whole_source_is_no_target(target, data_root, tmp_path):
    with pytest.raises(InputError, match="target=synthetic_plaza is among the sources"):
        train_small(data_root, tmp_path / "run", *SPLIT, f"target={target}")
    assert not (tmp_path / "run").exists()


def test_its_own_test_set_if_that_is_wanted(data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", *SPLIT, "target=synthetic_plaza", "allow_seen_target=true")
    assert result(folder)["summary"]["synthetic_plaza"]["domain"] == "seen domain"


def test_an_interrupted_run_goes_on(data_root, tmp_path, monkeypatch):
    longer = (*SPLIT, "epochs=2", "strategy=il", "logger=csv")
    whole = train_small(data_root, tmp_path / "whole", *longer)
    with monkeypatch.context() as patch:
        at_step(patch, 4, "training_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *longer)
    train(composed([f"resume={tmp_path / 'run'}"]))
    assert_same_run(tmp_path / "run", whole, 6)
    assert result(tmp_path / "run")["sources"] == result(whole)["sources"]


def test_unknown_splits_and_cameras_with_too_few_people_are_refused_before_a_folder_is_made(data_root, tmp_path):
    with pytest.raises(InputError, match=r"split_by=person: .*known: camera"):
        train_small(data_root, tmp_path / "run", *SPLIT, "split_by=person")
    with pytest.raises(InputError, match=r"camera \d \(\d\).* of synthetic_plaza; each camera needs 9 of them"):
        train_small(data_root, tmp_path / "run", *SPLIT, "data.identities_per_batch=9")
    assert not (tmp_path / "run").exists()


def test_a_plan_shows_the_cameras(data_root, tmp_path):
    done = command("train.py", *typed(data_root, *SPLIT, f"runs={tmp_path}", "plan=true"))
    assert done.returncode == 0, done.stderr
    assert "6 x 2 identities x 2 images = 24" in done.stdout
    assert "synthetic_plaza_camera6" in done.stdout


@pytest.mark.slow
def test_two_processes_train_as_one(data_root, tmp_path):
    words = [*SPLIT, "strategy=il"]
    steps, state, _, figures = trained(data_root, tmp_path / "one", 0, words, 3)
    for rank in on_processes(2, trained, data_root, tmp_path / "two", free_port(), words, 3):
        assert [one[:2] for one in rank[0]] == [one[:2] for one in steps]
        assert rank[3] == figures
        for name, value in state.items():
            assert float(abs(rank[1][name] - value).max()) < 1e-9 * max(1, float(abs(value).max())), name
