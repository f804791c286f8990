"""The doctor finds what is wrong with a data set, and nothing where nothing is."""

import shutil

import pytest
from dataset_trees import MARKET, il_cuhk03_tree, market_style_tree, msmt_tree, write_cuhk03_mat, write_images
from PIL import Image

from dgreid.data.doctor import examine
from dgreid.data.domains.base import Counts, list_hash
from dgreid.data.domains.csv_list import CSVDomain
from dgreid.data.domains.cuhknp import CUHKNP
from dgreid.data.domains.folder import FolderDomain
from dgreid.data.domains.market1501 import Market1501
from dgreid.data.domains.msmt17v2 import MSMT17V2


class SmallMarket(Market1501):
    """Market-1501 as the generated tree has it: nothing is wrong with it."""

    expected = {"train": Counts(2, 3), "query": Counts(2, 2), "gallery": Counts(2, 4)}  # noqa: RUF012 # a test's


@pytest.fixture
def market(tmp_path):
    return market_style_tree(tmp_path / "market1501", MARKET)


def findings(report, level="problem"):
    return [finding.message for finding in report.findings if finding.level == level]


def examined(data_root, domain=SmallMarket):
    return examine(domain(data_root=data_root), read_images=True)


def test_a_sound_data_set_has_no_problem(tmp_path, market):
    report = examined(tmp_path)
    assert (report.status, findings(report)) == ("ok", [])
    assert (report.name, report.version, report.root, report.expected_cameras) == (
        "market1501", "v15.09.15", str(market), 6,
    )  # fmt: skip
    gallery = report.subsets["gallery"]
    assert (gallery.identities, gallery.images, gallery.cameras) == (2, 4, 4)
    assert (gallery.expected_identities, gallery.expected_images) == (2, 4)
    assert gallery.list_hash == list_hash(SmallMarket(data_root=tmp_path).records("gallery"), market)


def test_strays_are_a_note_with_a_way_to_remove_them(tmp_path, market):
    report = examined(tmp_path)
    assert len(findings(report, "note")) == 1
    assert findings(report, "note")[0].startswith("9 files of operating systems")  # three in each folder
    assert "-delete" in report.findings[0].way_out


def test_every_image_read_is_counted(tmp_path, market):
    read = []
    examine(SmallMarket(data_root=tmp_path), read_images=True, advance=lambda: read.append(1))
    assert len(read) == 9
    examine(SmallMarket(data_root=tmp_path), read_images=False, advance=lambda: read.append(1))
    assert len(read) == 9


@pytest.mark.filterwarnings("error")  # the doctor reports counts, it does not warn
def test_wrong_counts_are_problems_with_a_way_out(tmp_path, market):
    (market / "query" / "0003_c2s1_000151_00.jpg").unlink()
    report = examined(tmp_path)
    assert report.status == "problem"
    assert findings(report) == ["market1501: query has 1 identities and 1 images, published are 2 and 2"]
    assert "unpack" in next(f for f in report.findings if f.level == "problem").way_out


def test_missing_cameras_are_a_problem(tmp_path, market):
    train = market / "bounding_box_train"
    (train / "0007_c6s3_077419_03.jpg").rename(train / "0007_c5s3_077419_03.jpg")
    assert "5 cameras, published are 6" in findings(examined(tmp_path))


def test_unreadable_images_are_named(tmp_path, market):
    cut = market / "query" / "0003_c2s1_000151_00.jpg"
    cut.write_bytes(cut.read_bytes()[:-60])
    (market / "query" / "0001_c1s1_001051_00.jpg").write_bytes(b"<html>")
    [message] = findings(examined(tmp_path))
    assert message.startswith("2 images are missing or cannot be read")
    assert f"{cut}: " in message
    assert "0001_c1s1_001051_00.jpg: it is no image of a known format" in message


def test_images_that_exif_would_turn_are_a_note(tmp_path, market):
    photo = market / "query" / "0003_c2s1_000151_00.jpg"
    exif = Image.Exif()
    exif[0x0112] = 8
    with Image.open(photo) as image:
        image.save(photo, exif=exif)
    report = examined(tmp_path)
    assert findings(report) == []
    assert f"the EXIF of 1 images asks to turn or mirror them, such as {photo}" in findings(report, "note")


def test_an_image_that_a_list_names_and_nobody_has(tmp_path):
    root = msmt_tree(tmp_path / "msmt17v2", "mask_train_v2", "mask_test_v2")
    lost = root / "mask_test_v2" / "0001" / "0001_000_02_0303morning_0009_0.jpg"
    lost.unlink()
    assert any(f"1 images are missing or cannot be read, such as {lost}" in m for m in findings(
        examined(tmp_path, MSMT17V2)
    ))  # fmt: skip


def test_a_test_image_in_the_training_set_is_a_problem(tmp_path, market):
    shutil.copy(market / "query" / "0003_c2s1_000151_00.jpg", market / "bounding_box_train" / "0007_c6s3_077419_03.jpg")
    [message] = findings(examined(tmp_path))
    assert message.startswith("1 images are both in train and in query or gallery")
    assert "0003_c2s1_000151_00.jpg" in message


def test_a_copy_within_a_side_is_a_note(tmp_path, market):
    gallery = market / "bounding_box_test"
    shutil.copy(gallery / "0001_c2s1_000301_02.jpg", gallery / "0001_c5s1_000401_02.jpg")
    report = examined(tmp_path)
    assert findings(report) == []
    assert any(message.startswith("1 images are there twice or more") for message in findings(report, "note"))


@pytest.mark.parametrize(
    ("gallery", "level", "message"),
    [
        (["1_c2_1.jpg"], "note", "1 queries have no valid match"),
        (["1_c1_1.jpg"], "problem", "none of the 2 queries has a valid match"),
    ],
)
def test_queries_without_a_valid_match(tmp_path, gallery, level, message):
    write_images(tmp_path / "query", ["1_c1_0.jpg", "2_c1_0.jpg"])
    write_images(tmp_path / "bounding_box_test", gallery)
    report = examine(FolderDomain(data_root=None, folder=tmp_path, train=None), read_images=True)
    assert report.status == ("problem" if level == "problem" else "ok")
    assert any(found.startswith(message) for found in findings(report, level))
    assert set(report.subsets) == {"query", "gallery"}


def test_a_missing_data_set_is_a_problem_that_says_where_to_look(tmp_path):
    report = examined(tmp_path)
    assert report.status == "problem"
    assert report.root is None
    assert "market1501 was not found. Looked at:" in findings(report)[0]


@pytest.mark.filterwarnings("ignore::dgreid.data.domains.base.CountWarning")
def test_images_inside_a_mat_are_read(tmp_path):
    il_cuhk03_tree(tmp_path / "cuhk03")
    report = examined(tmp_path, CUHKNP)
    assert not any("cannot be read" in message for message in findings(report))
    assert report.subsets["gallery"].images == 3


def test_unknown_cameras_and_own_tables(tmp_path):
    write_images(tmp_path, ["a.jpg", "b.jpg", "c.jpg"])
    (tmp_path / "list.csv").write_text("path,identity,split\na.jpg,anna,train\nb.jpg,ben,query\nc.jpg,ben,gallery\n")
    report = examine(CSVDomain(data_root=tmp_path, file="list.csv"), read_images=True)
    assert (report.status, list(report.findings)) == ("ok", [])
    assert report.subsets["train"].cameras == 0


def test_a_damaged_mat_is_a_problem_and_not_a_crash(tmp_path):
    il_cuhk03_tree(tmp_path / "cuhk03")
    mat = write_cuhk03_mat(tmp_path / "cuhk03" / "cuhk03_release" / "cuhk-03.mat")
    mat.write_bytes(mat.read_bytes()[:2000])
    assert "cut off" in findings(examined(tmp_path, CUHKNP))[0]
