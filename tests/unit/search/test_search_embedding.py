"""Images become the embeddings that an evaluation would compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_pictures import MEAN, STD, Patches, draw
from torch import nn

from dgreid.errors import InputError
from dgreid.search.embedding import Embedder, device_of
from dgreid.search.images import SearchImage, images_in


def embedded(embedder, images):
    return np.concatenate(list(embedder(images)))


def by_hand(path: str, height: int, width: int) -> np.ndarray:
    """The embedding of one image, step by step."""
    pixels = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    normalised = (np.asarray(pixels, dtype=np.float64) / 255 - MEAN) / STD
    patches = normalised.reshape(6, height // 6, 2, width // 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1).ravel()
    return patches / np.linalg.norm(patches)


@pytest.mark.parametrize("size", [(24, 12), (48, 24), (18, 30)])
def test_embeddings_are_those_of_the_run_s_preprocessing(photos, size):
    images = images_in(str(photos), "images")
    found = embedded(Embedder(Patches(), *size, MEAN, STD, batch_size=4), images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [by_hand(image.path, *size) for image in images], atol=1e-5)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (5, 0), (100, 0), (4, 2)])
def test_neither_batches_nor_workers_matter(photos, batch_size, workers):
    images = images_in(str(photos), "images")
    expected = embedded(Embedder(Patches(), 24, 12, MEAN, STD, batch_size=14), images)
    embedder = Embedder(Patches(), 24, 12, MEAN, STD, batch_size=batch_size, workers=workers)
    np.testing.assert_allclose(embedded(embedder, images), expected, atol=1e-6)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision_is_near_and_at_unit_length(photos, precision):
    images = images_in(str(photos), "images")
    torch.manual_seed(0)
    net = nn.Sequential(Patches(), nn.Linear(36, 8))
    exact = embedded(Embedder(net, 24, 12, MEAN, STD), images)
    half = embedded(Embedder(net, 24, 12, MEAN, STD, precision=precision), images)
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(half, exact, atol=0.02)
    assert not np.array_equal(half, exact)


def test_the_net_is_in_evaluation_mode(photos):
    net = nn.Sequential(Patches(), nn.Dropout(0.5)).train()
    images = images_in(str(photos), "images")
    embedder = Embedder(net, 24, 12, MEAN, STD)
    np.testing.assert_array_equal(embedded(embedder, images), embedded(embedder, images))


def test_an_embedding_that_is_no_number_names_its_image(tmp_path):
    class Broken(nn.Module):
        def forward(self, images):
            found = torch.ones(len(images), 3)
            found[images.mean(dim=(1, 2, 3)) < 0] = torch.nan
            return found

    white = tmp_path / "white.png"
    Image.new("RGB", (12, 24), "white").save(white)
    Image.new("RGB", (12, 24), "black").save(tmp_path / "black.png")
    images = [SearchImage(str(white)), SearchImage(str(tmp_path / "black.png"))]
    with pytest.raises(InputError, match=r"the embedding of .*black.png is not finite"):
        list(Embedder(Broken(), 24, 12, MEAN, STD)(images))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_went_away_is_named(tmp_path, workers):
    images = [SearchImage(str(draw(tmp_path / "a.png", 0))), SearchImage(str(tmp_path / "gone.png"))]
    with pytest.raises(InputError, match=rf"^cannot read image {tmp_path}/gone.png: No such file"):
        list(Embedder(Patches(), 24, 12, MEAN, STD, workers=workers)(images))


def test_what_there_is_not_is_refused(monkeypatch):
    with pytest.raises(InputError, match="precision=32: known: 16-mixed, 32-true, bf16-mixed"):
        Embedder(Patches(), 24, 12, MEAN, STD, precision="32")
    with pytest.raises(InputError, match="accelerator=tpu: "):
        device_of("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_of("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="accelerator=gpu: torch sees none on this machine"):
        device_of("gpu")


def test_a_gpu_is_taken_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of("auto") == device_of("gpu") == torch.device("cuda")
    assert device_of("cpu") == torch.device("cpu")


def test_paths_are_read_as_they_are(tmp_path):
    path = draw(tmp_path / "a b'\"<&>é[1].png", 3)
    found = embedded(Embedder(Patches(), 24, 12, MEAN, STD), [SearchImage(str(path))])
    np.testing.assert_allclose(found[0], by_hand(str(Path(path)), 24, 12), atol=1e-5)
