"""What docs/library.md shows: a trained run in a few lines, and training without Lightning that equals the trainer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from documents import code_blocks
from interrupted_runs import checkpoint, curves
from small_runs import train_small

import dgreid

PAGE = "docs/library.md"
STEPS = 5
CLOSE = 1e-9
TRAINER = (
    "trainer.precision=64-true", "schedule.warmup_epochs=0", "optim.lr=1e-3", "epochs=1", f"steps_per_epoch={STEPS}",
    "data.transform.pad=5",
)  # fmt: skip
METHODS = {"fb": dgreid.FB, "il": dgreid.IL, "m3l": dgreid.M3L}


def tiny_domains(data_root):
    """The domains of the small runs, made without Hydra."""
    size = {"train_identities": 8, "test_identities": 6, "images_per_identity": 4, "height": 64, "width": 32}
    folder = data_root / "synthetic"
    return [
        dgreid.SyntheticPlaza(name="synthetic_plaza", folder=folder, **size),
        dgreid.SyntheticCampus(name="synthetic_campus", folder=folder, **size),
    ]


def plain_loop():
    """The function that the page shows."""
    (loop, _) = code_blocks(PAGE, "python", "Train in a loop of your own")
    assert len(loop.splitlines()) <= 40
    space = {}
    exec(loop, space)
    return space["train"]


@pytest.fixture
def _default_dtype():
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_default_dtype")
@pytest.mark.parametrize("strategy", METHODS)
def test_the_plain_loop_equals_the_trainer(strategy, data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", *TRAINER, f"strategy={strategy}")
    net = dgreid.load_run(folder, "initial").module.net.double()
    method = METHODS[strategy]()
    torch.set_default_dtype(torch.float64)  # as Lightning does with 64-true, which shows in what is drawn
    losses = list(plain_loop()(net, method, tiny_domains(data_root), STEPS, size=(64, 32), people=3, images=2))
    assert losses == pytest.approx([float(row["loss"]) for row in curves(folder)], rel=CLOSE)
    assert len(losses) == STEPS
    assert len(set(losses)) == STEPS
    expected = checkpoint(folder)["state_dict"]
    found = {f"net.{name}": value for name, value in net.state_dict().items()}
    found |= {f"strategy.{name}": value for name, value in method.state_dict().items()}
    torch.testing.assert_close(found, expected, rtol=CLOSE, atol=CLOSE)


def test_the_page_s_last_lines_run_and_load_neither_lightning_nor_hydra(tmp_path):
    loop, lines = code_blocks(PAGE, "python", "Train in a loop of your own")
    heavy = ("pytorch_lightning", "hydra", "wandb", "faiss")
    end = f"import sys\nprint([name for name in {heavy} if name in sys.modules])\n"
    assert lines.count("steps=5") == 1
    smaller = lines.replace("steps=5", "steps=1").replace('"data/synthetic")', '"data/synthetic", train_identities=16)')
    (tmp_path / "script.py").write_text(loop + smaller + end)
    done = in_folder(tmp_path, "script.py")
    assert [line.split()[0] for line in done.splitlines()] == ["FB", "IL", "M3L", "[]"]


def in_folder(folder: Path, *words: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(data_root, tmp_path_factory):
    return train_small(data_root, tmp_path_factory.mktemp("run") / "fb", "strategy=fb", "epochs=1")


def test_two_images_are_compared_in_ten_lines(run, data_root, tmp_path):
    (lines,) = code_blocks(PAGE, "python", "Compare two images with a trained run")
    assert len(lines.splitlines()) <= 10
    one, other = (record.path for record in tiny_domains(data_root)[0].records("query")[:2])
    for name, path in (("one.jpg", one), ("other.jpg", other)):
        (tmp_path / name).symlink_to(path)
    named = next(word for word in lines.split('"') if word.startswith("runs/"))
    (tmp_path / "script.py").write_text(lines.replace(named, str(run)))
    said = in_folder(tmp_path, "script.py").strip()
    pictures = dgreid.FileCrops(64, 32)([one, other])
    pixels = torch.stack([torch.from_numpy(picture.copy()).permute(2, 0, 1) for picture in pictures])
    with torch.no_grad():
        expected = dgreid.load_run(run).inference_net(dgreid.normalise(pixels))
    assert said == f"fb after 2 steps: similarity {float(expected[0] @ expected[1]):.3f}"


def test_images_are_embedded_as_the_run_s_evaluation_did(data_root, tmp_path):
    """Mirror images averaged in, and in batches."""
    folder = train_small(data_root, tmp_path / "flip", "strategy=fb", "epochs=1", "metric.flip=true")
    loaded = dgreid.load_run(folder)
    paths = [record.path for record in tiny_domains(data_root)[1].records("query")]
    found = dgreid.embed_images(loaded, paths, accelerator="cpu", batch_size=4)
    pictures = [torch.from_numpy(one.copy()).permute(2, 0, 1) for one in dgreid.FileCrops(64, 32)(paths)]
    net = loaded.inference_net
    with torch.no_grad():
        for row, picture in zip(found, pictures, strict=True):
            both = net(dgreid.normalise(torch.stack([picture, picture.flip(2)]))).sum(0)
            torch.testing.assert_close(row, both / both.norm(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("images", [[], "one.jpg"])
def test_images_are_a_list(run, images):
    with pytest.raises(dgreid.InputError, match=r"images=.*: give a list with one file or more"):
        dgreid.embed_images(dgreid.load_run(run), images)


def test_a_file_that_is_no_image_is_named(run):
    with pytest.raises(dgreid.ImageError, match=r"run\.json"):
        dgreid.embed_images(dgreid.load_run(run), [run / "run.json"])


def test_the_page_s_figures_are_those_of_such_embeddings(tmp_path):
    (lines,) = code_blocks(PAGE, "python", "Figures for embeddings")
    (tmp_path / "script.py").write_text(lines)
    summary = json.loads(in_folder(tmp_path, "script.py").replace("'", '"'))
    assert summary["mAP"] == 1
    assert summary["queries"] == 5
