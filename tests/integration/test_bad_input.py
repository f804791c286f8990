"""What bad input gets: a message with the value, the rule and the way out, before any training."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest
import torch
from PIL import Image
from small_runs import composed, evaluate_small, train_small, typed

from dgreid.run.compose import readable
from dgreid.run.training import train
from dgreid.strategies.fb import FB


def message(task, *args) -> str:
    """What the user reads; the error must be one that the commands turn into a message."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, `readable` says
        task(*args)
    text = readable(caught.value)
    assert text is not None, repr(caught.value)
    assert "Traceback" not in text
    return text


def refused(data_root, folder, *overrides) -> str:
    """The message of a run that must leave nothing behind."""
    text = message(train_small, data_root, folder, *overrides)
    assert not folder.exists(), "a refused run leaves nothing behind"
    return text


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["target=synthetic_nigth"], ["target=synthetic_nigth", "no such domain", "did you mean 'synthetic_night'"]),
        (["sources=[synthetic_plaza,synthetic_campos]"], ["sources=synthetic_campos", "did you mean 'synthetic_camp"]),
        (["strategy=fbff"], ["strategy=fbff", "did you mean 'fbf'", "softmax_triplet"]),
        (["epoch=3"], ["'epoch'", "did you mean 'epochs'"]),
        (["optim.lrr=1"], ["optim.lrr", "did you mean 'lr'"]),
        (["net=smal"], ["net=smal", "did you mean 'small'"]),
        (["protocol=synthetic/to_nite"], ["synthetic/to_nite", "did you mean", "to_night"]),
        (["target=synthetic_plaza"], ["target=synthetic_plaza", "among the sources", "allow_seen_target=true"]),
        (
            ["target=[synthetic_night,synthetic_plaza]"],
            ["target=synthetic_plaza", "among the sources", "allow_seen_target=true"],
        ),
        (
            ["target=synthetic_plaza", "allow_seen_target=true", "use=train+test"],
            ["allow_seen_target=true with use=train+test", "would be trained on", "set use=train"],
        ),
        (["sources=[cuhk03]", "target=cuhknp"], ["target=cuhknp", "same people", "cuhk03", "Take cuhk03 out"]),
        (["sources=[msmt17v1]", "target=msmt17v2"], ["target=msmt17v2", "same people", "msmt17v1"]),
        (["sources=[cuhknp]", "target=cuhk03", "allow_seen_target=true"], ["target=cuhk03", "same people"]),
        (["sources=[synthetic_plaza,synthetic_plaza]"], ["synthetic_plaza twice"]),
        (["sources=[]"], ["sources is empty", "name at least one"]),
        (["use=test"], ["use=test", "known: train, train+test"]),
        (["sources=[market1501]", "data_root=/nowhere/at/all"], ["/nowhere/at/all", "DGREID_DATA", "data_root="]),
        (["data.identities_per_batch=9"], ["8 training identities", "identities_per_batch=9", "at most 8"]),
        (["data.identities_per_batch=0"], ["0 identities", "at least 1"]),
        (["data.sampling=random"], ["sampling=random", "cross_camera"]),
        (["trainer.accumulate_grad_batches=2"], ["accumulate_grad_batches=2", "only 1", "identities_per_batch"]),
        (["holdout=1"], ["holdout=1", "below 1"]),
        (["holdout=-0.1"], ["holdout=-0.1", "at least 0"]),
        (["holdout=much"], ["holdout=much", "share"]),
        (["selection=source"], ["selection=source", "holdout=0.1"]),
        (["selection=oracle"], ["selection=oracle", "evaluate_every=1"]),
        (["selection=best"], ["selection=best", "last, oracle, source"]),
        (["epochs=0"], ["epochs=0", "at least 1"]),
        (["steps_per_epoch=1.5"], ["steps_per_epoch=1.5", "whole number"]),
        (["evaluate_every=0"], ["evaluate_every=0", "at least 1"]),
        (["seed=abc"], ["seed=abc", "whole number"]),
        (["seed=99999999999999999999"], ["seed=99999999999999999999", "at most"]),
        (["data.test_batch_size=0"], ["test_batch_size=0", "at least 1"]),
        (["trainer.gradient_clip_val=-1"], ["trainer.gradient_clip_val=-1", "above 0"]),
        (["init=/nowhere/run"], ["init=/nowhere/run", "no such run"]),
        (["net.weights=/nowhere/weights.pth"], ["/nowhere/weights.pth"]),
        (["strategy.temperature=0"], ["temperature=0", "positive"]),
        (["schedule.milestones=[3,1]"], ["milestones=[3, 1]", "ascend"]),
        (["data.workers=-1"], ["workers=-1", "negative"]),
        (["data.height=0"], ["0x32", "at least 1"]),
        (["data.cache=ram"], ["cache=ram"]),
        (["resume=true"], ["resume=true", "holds no run", "without resume=true"]),
        (["matmul_precision=hihg"], ["matmul_precision=hihg", "highest"]),
        (["trainer.precision=17"], ["precision", "17"]),
        (["trainer.accelerator=tpuu"], ["tpuu"]),
        (["trainer.max_steps=0"], ["trainer.max_steps=0", "at least 1"]),
        (["optim.lr=fast"], ["optim", "lr=fast"]),
    ],
    ids=lambda value: ",".join(value)[:60] if isinstance(value, list) else None,
)
def test_a_value_that_breaks_its_rule(overrides, parts, data_root, tmp_path):
    text = refused(data_root, tmp_path / "run", *overrides)
    for part in parts:
        assert part in text


@pytest.mark.parametrize("missing", ["sources", "target"])
def test_nothing_named(missing, data_root, tmp_path):
    overrides = [o for o in typed(data_root, f"folder={tmp_path / 'run'}") if not o.startswith(missing)]
    text = message(lambda: train(composed(overrides)))
    assert text.startswith(missing)


def own_images(folder, people):
    """A CSV list of images: (identity, camera, split) each."""
    folder.mkdir()
    lines = ["path,identity,camera,split"]
    for number, (identity, camera, split) in enumerate(people):
        Image.new("RGB", (32, 64), (number * 7 % 256, identity * 40 % 256, 90)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{identity},{camera},{split}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return f"domain.csv.file={folder / 'list.csv'}"


def test_one_image_of_each_identity(data_root, tmp_path):
    images = own_images(tmp_path / "own", [(person, person % 2, "train") for person in range(6)])
    text = refused(data_root, tmp_path / "run", "sources=[csv]", images)
    assert "csv has one image of each identity" in text
    assert "set images_per_identity=1" in text


def test_a_target_without_valid_queries(data_root, tmp_path):
    images = own_images(tmp_path / "own", [(1, 0, "query"), (2, 0, "query"), (1, 0, "gallery"), (3, 1, "gallery")])
    text = refused(data_root, tmp_path / "run", "target=csv", images)
    assert "csv cannot be a target: none of its 2 queries" in text
    assert "python -m dgreid.data check" in text


def test_an_empty_data_set(data_root, tmp_path):
    (tmp_path / "market1501" / "Market-1501-v15.09.15").mkdir(parents=True)
    text = refused(data_root, tmp_path / "run", "sources=[market1501]", f"data_root={tmp_path}")
    assert "market1501" in text
    assert "bounding_box_train" in text


@pytest.mark.parametrize("role", ["sources=[csv]", "target=csv"])
def test_an_unreadable_image_is_named_before_training(role, data_root, tmp_path):
    subset = {"sources=[csv]": ["train"], "target=csv": ["query", "gallery"]}[role]
    people = [(person, camera, subset[camera % len(subset)]) for person in range(4) for camera in (0, 1)]
    images = own_images(tmp_path / "own", people)
    broken = tmp_path / "own" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    text = refused(data_root, tmp_path / "run", role, images, "strategy=softmax_triplet")
    assert f"cannot read image {broken}" in text


def test_a_folder_that_holds_a_run(data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", "epochs=1")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    text = message(train_small, data_root, folder, "epochs=1")
    for part in (str(folder), "already holds a run", "never overwritten", "python -m dgreid.evaluate run=", "name="):
        assert part in text
    text = message(train_small, data_root, folder, "epochs=1", "resume=true")
    for part in (str(folder), "finished run", "more epochs"):
        assert part in text
    text = message(train_small, data_root, folder, "epochs=1", "resume=true", "optim.lr=0.5", "strategy=fbf")
    for part in ("another configuration", "optim.lr was 0.00035 and is 0.5", "init="):
        assert part in text
    text = message(evaluate_small, data_root, folder, "checkpoint=source")
    for part in ("checkpoint=source", "this run has: last, selected"):
        assert part in text
    assert "among the sources" in message(evaluate_small, data_root, folder, "target=synthetic_plaza")
    assert "did you mean 'synthetic_station'" in message(evaluate_small, data_root, folder, "target=synthetic_statoin")
    for wrong in ("accelerator=tpuu", "precision=7", "workers=some", "batch_size=0"):
        assert wrong in message(evaluate_small, data_root, folder, wrong)
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes((folder / "checkpoints" / "last.ckpt").read_bytes()[:5000])
    text = refused(data_root, tmp_path / "next", f"init={damaged}")
    assert str(damaged) in text
    assert "cannot be read" in text
    text = refused(data_root, tmp_path / "next", f"init={folder}", "net.width=6")
    assert f"init={folder}" in text
    assert {path: path.read_bytes() for path in before} == before
    assert {path for path in folder.rglob("*") if path.is_file()} == set(before)


def test_a_folder_with_something_else(data_root, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    text = message(train_small, data_root, tmp_path / "run")
    assert "is not empty and holds no run" in text
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_evaluation_of_what_is_no_run(data_root, tmp_path):
    assert message(evaluate_small, data_root, "null").startswith("run is empty")
    assert "one at a time" in message(evaluate_small, data_root, "[a,b]")
    (tmp_path / "config.yaml").write_text("a: [")
    (tmp_path / "run.json").write_text("{}")
    assert "config.yaml is damaged" in message(evaluate_small, data_root, tmp_path)
    text = message(evaluate_small, data_root, tmp_path / "nothing")
    assert f"{tmp_path / 'nothing'} holds no run" in text


def test_no_disk_space(data_root, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 2**40 - 2**20, 2**20))
    text = refused(data_root, tmp_path / "run")
    for part in ("1 MB left", "at least 200", "runs=<folder>"):
        assert part in text


def test_a_loss_that_is_not_finite(data_root, tmp_path, monkeypatch):
    original = FB.loss

    def loss(self, net, batches, clock):
        result = original(self, net, batches, clock)
        if clock.step < 2:
            return result
        bad = torch.tensor(float("nan"))
        return result._replace(loss=result.loss * bad, scalars={**result.scalars, "loss/synthetic_campus": bad})

    monkeypatch.setattr(FB, "loss", loss)
    text = message(train_small, data_root, tmp_path / "run", "strategy=fb")
    for part in ("not finite at step 2", "loss/synthetic_campus = nan", "Lower the learning rate"):
        assert part in text
    assert "plaza" not in text
