"""Files of format 1, written by version 0.1.0, are read as they were meant; later formats are refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dgreid.data.cache import open_crops
from dgreid.data.sets import PlainImages
from dgreid.data.transforms import normalise
from dgreid.errors import InputError
from dgreid.evaluation.embedding_files import QUERY, read_embeddings
from dgreid.evaluation.neighbours import NeighbourIndex
from dgreid.run.checkpoints import FORMAT_KEY, read_checkpoint
from dgreid.run.load import load_run
from dgreid.search.index_folder import IndexFolder
from dgreid.types import ReIDRecord

FILES = Path(__file__).parents[1] / "fixtures" / "format_1"
CLOSE = 1e-5


@pytest.fixture
def files(tmp_path):
    """A copy to change."""
    return Path(shutil.copytree(FILES, tmp_path / "files"))


def test_a_run_is_loaded_and_embeds_as_it_did():
    run = load_run(FILES / "run")
    assert run.step == 4
    assert [source["name"] for source in run.record["sources"]] == ["synthetic_plaza", "synthetic_campus"]
    photo = FILES / "photos" / "0001_c6_f0040035.jpg"
    images = PlainImages([ReIDRecord(photo, 0, 0)], open_crops([photo], 64, 32, "none", None))[range(1)].images
    with torch.no_grad():
        embedding = run.inference_net(normalise(images, run.module.mean, run.module.std)).numpy()
    assert abs(embedding - np.load(FILES / "index" / "embeddings-0.npy")[:1]).max() < CLOSE


def test_an_index_is_searched():
    folder = IndexFolder(FILES / "index")
    assert next(folder.all_images()).path == "photos/0001_c6_f0040035.jpg"
    vectors = np.load(FILES / "index" / "embeddings-0.npy")
    found = NeighbourIndex.load(FILES / "index" / "index-0.faiss").search(vectors, k=1)
    assert found.indices[:, 0].tolist() == list(range(8))
    assert abs(found.scores - 1).max() < CLOSE


def test_embeddings_are_read():
    embeddings = read_embeddings(FILES / "embeddings.npz")
    assert embeddings.embeddings.shape == (24, 32)
    assert int((embeddings.split == QUERY).sum()) == 12


def test_a_result_says_its_format():
    for name in ("run.json", "result.json"):
        assert json.loads((FILES / "run" / name).read_text())["format"] == 1


def test_a_later_checkpoint_is_refused(files):
    path = files / "run" / "checkpoints" / "selected.ckpt"
    content = torch.load(path, weights_only=True)
    torch.save({**content, FORMAT_KEY: 2}, path)
    with pytest.raises(InputError, match=r"selected.ckpt has checkpoint format 2, this version .* up to 1"):
        read_checkpoint(path)


def test_later_embeddings_are_refused(files):
    path = files / "embeddings.npz"
    with np.load(path) as arrays:
        np.savez(path, **{**arrays, "format": np.array(2)})
    with pytest.raises(InputError, match=r"embeddings.npz: format is 2, this version reads 1"):
        read_embeddings(path)


def test_a_later_index_is_refused(files):
    path = files / "index" / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(InputError, match="format 2"):
        IndexFolder(files / "index")


def test_a_later_run_is_refused(files):
    path = files / "run" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(InputError, match=r"run.json has format 2, this version .* reads 1"):
        load_run(files / "run")
