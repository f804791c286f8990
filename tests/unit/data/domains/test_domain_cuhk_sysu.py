"""CUHK-SYSU: all known crops, and that results say which."""

import pytest
from dataset_trees import add_strays, write_image, write_images

from dgreid.data.domains.base import DatasetError
from dgreid.data.domains.cuhk_sysu import CUHKSYSU
from dgreid.data.domains.market1501 import Market1501

pytestmark = pytest.mark.filterwarnings("ignore::dgreid.data.domains.base.CountWarning")
TORCHREID = ["p11422_s16929_1.jpg", "p11422_s16930_2.jpg", "p3_s100_1.jpg"]
METABIN = ["p00001_n01_s00001_hard0.png", "p00001_n02_s00004_hard0.png", "p00020_n01_s00009_hard0.png"]
BAU = ["0001_c1_0001.jpg", "0001_c1_0002.jpg", "0007_c1_0001.jpg"]
LAYOUTS = [
    ("cropped_images", TORCHREID, "torchreid", [3, 11422, 11422]),
    ("cropped_images", METABIN, "MetaBIN", [1, 1, 20]),
    (".", METABIN, "MetaBIN", [1, 1, 20]),
    ("bounding_box_train", BAU, "BAU", [1, 1, 7]),
]


@pytest.fixture
def data_root(tmp_path):
    return tmp_path / "x1_c2_data"


@pytest.mark.parametrize("place", ["cuhk_sysu/CUHK-SYSU", "CUHK-SYSU", "cuhk_sysu"])
@pytest.mark.parametrize(("folder", "names", "crops", "identities"), LAYOUTS)
def test_every_crop_layout_in_every_place(data_root, place, folder, names, crops, identities):
    write_images(data_root / place / folder, names)
    add_strays(data_root / place / folder)
    domain = CUHKSYSU(data_root=data_root)
    assert domain.root == data_root / place
    assert sorted(r.identity for r in domain.records("train")) == identities
    assert {r.camera for r in domain.records("train")} == {0}
    assert domain.records("query") == domain.records("gallery") == ()
    assert crops in domain.version
    assert [r.identity for r in domain.source_records("train+test")].count(0) in (1, 2)
    assert domain.source_records("train+test") == domain.source_records("train")


def test_sizes_are_expected_of_the_published_crops_only(data_root):
    write_images(data_root / "cuhk_sysu" / "cropped_images", TORCHREID)
    assert CUHKSYSU(data_root=data_root).expected["train"] == (11_934, 34_574)
    write_images(data_root / "other" / "cuhk_sysu" / "bounding_box_train", BAU)
    assert CUHKSYSU(data_root=data_root / "other").expected == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("error::dgreid.data.domains.base.CountWarning")
def test_torchreids_crops_of_full_size_are_what_is_published(data_root):
    folder = data_root / "cropped_images"
    folder.mkdir(parents=True)
    for i in range(34_574):
        (folder / f"p{i % 11_934 + 1}_s{i}_1.jpg").touch()
    domain = CUHKSYSU(data_root=data_root)
    for use in ("train", "train+test"):
        sources = domain.source_records(use)
        assert (len({r.identity for r in sources}), len(sources)) == (11_934, 34_574)


def test_the_data_set_itself_may_be_the_data_root(data_root):
    write_images(data_root / "cropped_images", TORCHREID)
    assert CUHKSYSU(data_root=data_root).records("train")


def test_market_is_not_taken_for_it(data_root):
    write_images(data_root / "bounding_box_train", ["0002_c1s1_000451_03.jpg"])
    assert Market1501(data_root=data_root).root == data_root
    with pytest.raises(DatasetError, match="cuhk_sysu was not found"):
        _ = CUHKSYSU(data_root=data_root).root


def test_unknown_crops_are_refused(data_root):
    write_image(data_root / "cuhk_sysu" / "cropped_images" / "frame7.jpg")
    with pytest.raises(DatasetError, match=r"no known crops; it should hold cropped_images/ with names such as p11422"):
        CUHKSYSU(data_root=data_root).records("train")


def test_a_stranger_among_the_crops_is_named(data_root):
    folder = data_root / "cuhk_sysu" / "bounding_box_train"
    write_images(folder, BAU)
    domain = CUHKSYSU(data_root=data_root)
    assert "BAU" in domain.version
    write_image(folder / "frame7.jpg")
    with pytest.raises(DatasetError, match=r"frame7\.jpg is not named as the other BAU crops are"):
        domain.records("train")
