"""Names, disks and processes that are not as they should be, under whole runs."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from read_only_folders import read_only, small_disk
from small_runs import evaluate_small, train_small, typed

from dgreid.run import continuing
from dgreid.run.compose import readable
from dgreid.strategies.fb import FB

ROOT = Path(__file__).parents[2]
PEOPLE = [(person, camera) for person in range(4) for camera in (1, 2)]


def message(task, *args):
    """What the user reads, in one line."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, `readable` says
        task(*args)
    text = readable(caught.value)
    assert text is not None, repr(caught.value)
    return text


def picture(path, number=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    with path.open("wb") as file:
        Image.fromarray(pixels).save(file, "PNG")


def own_data(folder, ending=".png"):
    """A folder in Market-1501's layout, with three images of each person and camera."""
    for number, subset in enumerate(("bounding_box_train", "query", "bounding_box_test")):
        for person, camera in PEOPLE:
            picture(folder / subset / f"{person}_c{camera}_{number}{ending}", 100 * number + 10 * person + camera)
    return ["sources=[folder]", f"domain.folder.folder='{folder}'"]


def after_steps(monkeypatch, steps, do):
    """Something happens before the loss of a step."""
    original = FB.loss

    def loss(self, net, batches, clock):
        if clock.step == steps:
            do()
        return original(self, net, batches, clock)

    monkeypatch.setattr(FB, "loss", loss)


ODD = {
    "unicode": "_行人_Fußgänger_🚶.png",
    "signs": "_a b'c\"d,e;f=g%20$h&[i].png",
    "long": "_" + "x" * (255 - len("0_c1_0_.png")) + ".png",
    "many dots": "...png.jpg.PNG",
    "line break": "_a\nb.png",
}


@pytest.mark.parametrize("ending", ODD.values(), ids=ODD)
def test_odd_file_names_are_names(ending, data_root, tmp_path):
    own = own_data(tmp_path / "own", ending)
    target = ["target=folder", "allow_seen_target=true"]
    run = train_small(data_root, tmp_path / "run", *own, *target, "epochs=1", "steps_per_epoch=1", "strategy=fb")
    with (run / "queries.csv").open(newline="", encoding="utf-8") as file:
        named = {os.path.basename(row["path"]) for row in csv.DictReader(file)}
    assert named == {f"{person}_c{camera}_1{ending}" for person, camera in PEOPLE}


def test_names_that_are_no_text_are_refused_before_training(data_root, tmp_path):
    """Bytes of another encoding, as old archives have them: no table, page or terminal could show them."""
    own = own_data(tmp_path / "own")
    os.rename(tmp_path / "own" / "query" / "0_c1_1.png", os.fsencode(tmp_path / "own" / "query") + b"/0_c1_\xc4.png")
    text = message(train_small, data_root, tmp_path / "run", *own, "strategy=fb")
    assert "is no UTF-8" in text
    text.encode()
    assert not (tmp_path / "run").exists()


def test_links_are_files_and_broken_ones_are_named(data_root, tmp_path):
    own = own_data(tmp_path / "own")
    linked, broken = (tmp_path / "own" / "bounding_box_train" / f"{name}_c1_0.png" for name in (0, 1))
    linked.rename(tmp_path / "kept.png")
    linked.symlink_to(tmp_path / "kept.png")
    train_small(data_root, tmp_path / "run", *own, "epochs=1", "steps_per_epoch=1", "strategy=fb")
    broken.unlink()
    broken.symlink_to(tmp_path / "nowhere.png")
    text = message(train_small, data_root, tmp_path / "next", *own)
    assert f"cannot read image {broken}: No such file" in text
    assert "`python -m dgreid.data check` lists" in text


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("change", ["vanishes", "changes"])
def test_an_image_that_is_not_what_it_was_ends_training_with_its_name(
    change, workers, data_root, tmp_path, monkeypatch
):
    own = own_data(tmp_path / "own")
    images = sorted((tmp_path / "own" / "bounding_box_train").iterdir())

    def disturb():
        for image in images:
            picture(image, 7) if change == "changes" else image.unlink()

    after_steps(monkeypatch, 1, disturb)
    text = message(
        train_small, data_root, tmp_path / "run", *own, "strategy=fb", "steps_per_epoch=20", f"data.workers={workers}"
    )
    expected = {"vanishes": "cannot read image", "changes": "was exchanged since this run began"}[change]
    assert expected in text
    assert any(str(image) in text for image in images)
    assert "Traceback" not in text


def children(process):
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(number) for number in found.stdout.split()]


def test_a_loading_process_that_is_killed_ends_training_with_a_message(data_root, tmp_path):
    run = tmp_path / "run"
    words = typed(data_root, f"folder={run}", "strategy=fb", "steps_per_epoch=100000", "data.workers=2")
    command = [sys.executable, "train.py", *words]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            # Steps are taken: those that load for them are there, and no others.
            while process.poll() is None and not (run / "metrics.csv").exists():
                time.sleep(0.2)
            os.kill(children(process)[0], signal.SIGKILL)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("error: a process that loads images is gone (")
    assert "fewer data.workers" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("cache", ["none", "disk"])
def test_read_only_data_are_read(cache, data_root, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = own_data(tmp_path / "own")
    with read_only(tmp_path / "own"):
        with pytest.raises(OSError, match=r"Read-only|Permission"):
            (tmp_path / "own" / "try").touch()
        train_small(data_root, tmp_path / "run", *own, "epochs=1", "steps_per_epoch=1", f"data.cache={cache}")
    assert (tmp_path / "cache").exists() == (cache == "disk")


def test_synthetic_data_cannot_be_drawn_into_a_read_only_folder(tmp_path):
    (tmp_path / "data").mkdir()
    with read_only(tmp_path / "data"):
        text = message(train_small, tmp_path / "data", tmp_path / "run")
        assert "choose another folder by synthetic.folder=<folder>" in text
        drawn = f"synthetic.folder={tmp_path / 'drawn'}"
        train_small(tmp_path / "data", tmp_path / "run", drawn, "epochs=1", "steps_per_epoch=1")


def test_a_place_that_cannot_be_written_is_told(data_root, tmp_path):
    (tmp_path / "file").write_text("mine")
    text = message(train_small, data_root, tmp_path / "file" / "run")
    assert "cannot be written" in text or "is not a folder" in text
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "closed").mkdir()
    with read_only(tmp_path / "closed"):
        text = message(train_small, data_root, tmp_path / "closed" / "run")
    assert "cannot be written (Read-only file system)" in text or "cannot be written (Permission denied)" in text
    assert "choose another place with runs=" in text


def test_a_disk_that_fills_up_during_training_is_told(data_root, tmp_path, monkeypatch):
    monkeypatch.setattr(continuing, "SPACE_NEEDED", 0)
    with small_disk(tmp_path / "disk", 1):
        run = tmp_path / "disk" / "run"
        text = message(train_small, data_root, run, "strategy=fb", "net.width=16")
        assert "No space left on device; free space or choose another folder" in text
        assert not list(run.rglob("*.ckpt")), "no half of a checkpoint"
        assert (run / "config.yaml").is_file()


@pytest.fixture(scope="module")
def run(data_root, tmp_path_factory):
    return train_small(data_root, tmp_path_factory.mktemp("trained") / "run", "strategy=fb", "epochs=1")


CHECKPOINTS = {
    "of another net": "does not fit",
    "of other people": "does not fit",
    "cut off": "cannot be read",
    "empty": "cannot be read",
    "of another program": "cannot be read",
    "a picture": "cannot be read",
    "a table": "cannot be read",
    "without weights": "does not fit",
    "a folder": "does not exist",
    "missing": "does not exist",
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints_that_are_not_the_run_s(kind, run, data_root, tmp_path):
    path = tmp_path / "other.ckpt"
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    state = content["state_dict"]
    if kind == "of another net":
        del state["net.backbone.layer1.conv1.weight"]
    elif kind == "of other people":
        bank = next(name for name in state if name.startswith("strategy.") and state[name].dim() == 2)
        state[bank] = state[bank][:-1].clone()
    elif kind == "without weights":
        del content["state_dict"]
    torch.save(content, path)
    if kind == "cut off":
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "of another program":
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    elif kind == "a picture":
        picture(path)
    elif kind == "a table":
        path.write_text("path,identity\n")
    elif kind in ("a folder", "missing"):
        path.unlink()
        if kind == "a folder":
            path.mkdir()
    text = message(evaluate_small, data_root, run, f"checkpoint={path}")
    assert str(path) in text
    assert CHECKPOINTS[kind] in text
    assert not (run / "evaluations").exists()


def test_a_start_from_a_run_with_other_people(run, data_root, tmp_path):
    own = own_data(tmp_path / "own")
    text = f"init='{run}'"
    started = train_small(data_root, tmp_path / "next", *own, text, "strategy=fb", "epochs=1", "optim.lr=0")
    before, after = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for folder in (run, started)
    )
    moved = [name for name in before if name.startswith("net.") and before[name].shape != after[name].shape]
    assert moved == []
    weights = "net.backbone.layer1.conv1.weight"
    assert torch.equal(before[weights], after[weights])
