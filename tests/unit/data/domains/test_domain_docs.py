"""The examples of docs/datasets.md work as they stand."""

import re
from pathlib import Path

import pytest
from dataset_trees import write_images
from hydra.utils import instantiate
from omegaconf import OmegaConf

DOCS = Path(__file__).parents[4] / "docs" / "datasets.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)


def domain(name, data_root):
    [text] = [block for block in blocks("yaml") if f"\n{name}:\n" in block]
    config = OmegaConf.merge(OmegaConf.create(text), {"data_root": str(data_root)})
    return instantiate(config[name], _convert_="all")


def test_the_folder_example(tmp_path):
    for subset, name in {
        "train": "cam0_id12_frame7.png",
        "query": "cam1_id3_1.png",
        "gallery": "cam2_id3_1.png",
    }.items():
        write_images(tmp_path / "shop" / subset, [name])
    shop = domain("shop", tmp_path)
    rows = [(r.identity, r.camera) for subset in ("train", "query", "gallery") for r in shop.records(subset)]
    assert rows == [(12, 0), (3, 1), (3, 2)]


def test_the_table_example(tmp_path):
    [table] = blocks("csv")
    (tmp_path / "campus").mkdir()
    (tmp_path / "campus" / "images.csv").write_text(table)
    campus = domain("campus", tmp_path)
    rows = [(r.identity, r.camera) for subset in ("train", "query", "gallery") for r in campus.records(subset)]
    assert rows == [(0, 0), (0, -1), (1, 0), (1, 1)]
    assert campus.records("train")[0].path == tmp_path / "campus" / "day1" / "0001.jpg"


@pytest.mark.parametrize(
    "path", sorted((DOCS.parents[1] / "conf" / "domain").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_domain_is_in_the_docs(path):
    assert f"`{path.stem}`" in DOCS.read_text(encoding="utf-8")
