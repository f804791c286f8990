"""``resume=``: runs that go on by themselves, by name, and only as what they were."""

from __future__ import annotations

import json
import os

import pytest
from interrupted_runs import BrokenOffError, assert_same_run, at_step, break_off
from omegaconf import OmegaConf
from small_runs import composed, train_small, typed
from test_commands import command

from dgreid.errors import InputError
from dgreid.run.training import train

RUN = ("epochs=2", "steps_per_epoch=3", "strategy=fbf", "optim.lr=1e-3", "logger=csv", "data.workers=0")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the uninterrupted run is; trained within a test, on as many threads as the others."""
    return tmp_path_factory.mktemp("whole") / "run"


@pytest.fixture
def whole(data_root, kept, one_thread):
    """The uninterrupted run."""
    return kept if kept.exists() else train_small(data_root, kept, *RUN)


@pytest.fixture
def broken_off(data_root, tmp_path, monkeypatch):
    """The same, broken off in its second epoch."""
    with monkeypatch.context() as patch:
        at_step(patch, 4, "training_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, tmp_path / "run", *RUN)
    return tmp_path / "run"


def go_on(*words):
    train(composed(list(words)))


def test_auto_starts_continues_and_tells(data_root, tmp_path, monkeypatch, capsys, whole):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, 4, "training_step", break_off)
        with pytest.raises(BrokenOffError):
            train_small(data_root, folder, *RUN, "resume=auto")
    train_small(data_root, folder, *RUN, "resume=auto")
    assert_same_run(folder, whole, 6)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    train_small(data_root, folder, *RUN, "resume=auto")
    (row,) = json.loads((folder / "result.json").read_text())["rows"]
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"finished already: {folder}"
    assert told[1].startswith(f"  synthetic_night, last (step 6), cosine: mAP {100 * row['mAP']:.1f}, Rank-1 ")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_run_that_is_named_needs_nothing_else(broken_off, whole, data_root):
    begun = json.loads((broken_off / "run.json").read_text())
    go_on(f"resume={broken_off}", "data.workers=2", f"data_root={data_root}", "data.cache=disk")
    assert_same_run(broken_off, whole, 6)
    result = json.loads((broken_off / "result.json").read_text())
    for key in ("strategy", "protocol", "command", "fingerprint"):
        assert result[key] == begun[key]
    stored = OmegaConf.load(broken_off / "config.yaml")
    assert (stored.data.workers, stored.data.cache, stored.strategy._target_) == (
        2, "disk", "dgreid.strategies.fbf.FBF",
    )  # fmt: skip


def test_a_run_that_is_named_may_become_longer(broken_off, data_root, tmp_path):
    longer = train_small(data_root, tmp_path / "longer", *RUN, "epochs=3")
    go_on(f"resume={broken_off}", "epochs=3")
    assert_same_run(broken_off, longer, 9)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("optim.lr=0.5", "optim.lr was 0.001 and is 0.5"),
        ("sources=[synthetic_plaza]", r"sources was \['synthetic_plaza', 'synthetic_campus'\] and is"),
        ("strategy=il", "strategy._target_ was dgreid.strategies.fbf.FBF and is dgreid.strategies.il.IL"),
        ("epochs=1", "epochs was 2 and is 1"),
        ("+trainer.benchmark=true", "trainer.benchmark was None and is True"),
        ("+trainer.sneaky=1", "trainer.sneaky=1: Trainer takes no sneaky"),
        ("protocol=synthetic/to_night", "protocol=synthetic/to_night with resume=.*leave protocol out"),
    ],
)
def test_what_may_not_be_typed_beside_its_name(word, told, whole):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=told):
        go_on(f"resume={whole}", word)
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_a_run_that_is_named_and_finished(whole, capsys):
    go_on(f"resume={whole}")
    assert f"finished already: {whole}" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["logger", "trainer"])
def test_code_that_a_run_names_is_not_run(key, broken_off):
    config = OmegaConf.load(broken_off / "config.yaml")
    config[key]["plugins"] = [{"_target_": "os.system", "command": "false"}]
    OmegaConf.save(config, broken_off / "config.yaml")
    with pytest.raises(InputError, match=rf"{key}.plugins.0._target_=os.system names code that is not dgreid's"):
        go_on(f"resume={broken_off}")


def test_other_images_are_refused(data_root, broken_off):
    record = json.loads((broken_off / "run.json").read_text())
    record["sources"][1]["list_hash"] = "0" * 64
    (broken_off / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="training images of synthetic_campus was 000000000000 and is"):
        train_small(data_root, broken_off, *RUN, "resume=true")


def test_a_run_that_is_under_way_is_named(data_root, tmp_path, monkeypatch):
    """A second process, while the first trains."""
    said = []

    def start_again(module):
        done = command("train.py", *typed(data_root, f"folder={tmp_path / 'run'}", *RUN, "resume=auto"))
        said.append((done.returncode, done.stderr))

    at_step(monkeypatch, 4, "training_step", start_again)
    train_small(data_root, tmp_path / "run", *RUN)
    ((code, message),) = said
    assert code == 1
    assert f"error: {tmp_path / 'run'} is in use by process {os.getpid()} on" in message
