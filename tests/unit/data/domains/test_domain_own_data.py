"""One's own data by configuration alone: folders and tables."""

import pytest
from dataset_trees import MARKET, add_strays, market_style_tree, write_image, write_images

from dgreid.data.domains.base import DatasetError
from dgreid.data.domains.csv_list import CSVDomain
from dgreid.data.domains.folder import FolderDomain
from dgreid.errors import InputError
from dgreid.types import ReIDRecord


@pytest.fixture
def data_root(tmp_path):
    return tmp_path / "x1_c2_data"


def rows(domain, subset):
    return [(r.path.name, r.identity, r.camera) for r in domain.records(subset)]


def test_a_folder_in_markets_layout_needs_nothing_but_its_place(data_root):
    root = market_style_tree(data_root / "shop", MARKET)
    domain = FolderDomain(data_root=data_root, folder="shop", name="shop", distractors=[0])
    assert (domain.name, domain.family, domain.root) == ("shop", "shop", root)
    assert len(domain.records("gallery")) == 4  # without the junk image
    assert {r.identity for r in domain.source_records("train+test")} == {0, 1, 2, 3}


def test_names_folders_and_first_camera_are_configurable(data_root):
    write_images(data_root / "lab" / "a", ["cam0-id12-001.png", "cam3-id5-001.png"])
    write_images(data_root / "lab" / "b", ["cam1-id7-001.png"])
    add_strays(data_root / "lab" / "a")
    domain = FolderDomain(
        data_root=None, folder=data_root / "lab", pattern=r"cam(?P<camera>\d+)-id(?P<identity>\d+)-",
        first_camera=0, train="a", query="b", gallery=None,
    )  # fmt: skip
    assert rows(domain, "train") == [("cam0-id12-001.png", 12, 0), ("cam3-id5-001.png", 5, 3)]
    assert rows(domain, "query") == [("cam1-id7-001.png", 7, 1)]
    assert domain.records("gallery") == ()
    assert [r.identity for r in domain.source_records("train")] == [1, 0]


def test_a_pattern_without_camera_says_that_cameras_are_unknown(data_root):
    write_images(data_root / "lab" / "train", ["12_c5.jpg"])
    options = {"train": "train", "query": None, "gallery": None}
    domain = FolderDomain(data_root=data_root, folder="lab", pattern=r"(?P<identity>\d+)_", **options)
    assert rows(domain, "train") == [("12_c5.jpg", 12, -1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": r"(\d+)_c(\d)"}, r"must have a group \(\?P<identity>"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_at_construction(options, message):
    with pytest.raises(InputError, match=message):
        FolderDomain(data_root=None, **options)


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (FolderDomain(data_root="."), r"no folder is given; name it by domain\.folder\.folder="),
        (CSVDomain(data_root="."), r"no file is given; name it by domain\.csv\.file="),
        (FolderDomain(data_root=".", folder="nowhere"), r"nowhere does not exist; it should hold bounding_box_train"),
        (CSVDomain(data_root=".", file="no.csv"), r"no\.csv does not exist; it must have columns path,identity"),
        (FolderDomain(data_root=None, folder="shop"), "data_root is not set"),
    ],
)
def test_what_is_not_there_is_said(domain, message):
    with pytest.raises(InputError, match=message):
        domain.records("train")


def test_text_identities_in_folders_lead_to_the_csv_domain(data_root):
    write_image(data_root / "lab" / "anna_c1.jpg")
    domain = FolderDomain(
        data_root=data_root, folder="lab", pattern=r"(?P<identity>\w+)_c(?P<camera>\d)", train=".", query=None,
        gallery=None,
    )  # fmt: skip
    with pytest.raises(DatasetError, match=r"both must be numbers .a csv domain takes text"):
        domain.records("train")


def test_a_source_without_training_images_is_refused(data_root):
    write_images(data_root / "lab" / "query", ["1_c1.jpg"])
    domain = FolderDomain(data_root=data_root, folder="lab", train=None, gallery=None)
    with pytest.raises(DatasetError, match="no image to train on; it can only be a target"):
        domain.source_records("train")


def write_table(data_root, text):
    data_root.mkdir(parents=True, exist_ok=True)
    (data_root / "list.csv").write_text(text, encoding="utf-8-sig")  # as Excel writes it
    return CSVDomain(data_root=data_root, file="list.csv")


def test_a_table_of_text(data_root):
    domain = write_table(
        data_root,
        "path,identity,camera,split\nimages/1.jpg,zoe,door,train\nimages/2.jpg,anna,,train\n"
        "images/3.jpg,ben,yard,query\nimages/4.jpg, ben ,door,gallery\n",
    )
    assert domain.root == data_root
    assert domain.records("train") == (
        ReIDRecord(data_root / "images/1.jpg", 2, 0),
        ReIDRecord(data_root / "images/2.jpg", 0, -1),
    )
    assert rows(domain, "query") == [("3.jpg", 1, 1)]
    assert rows(domain, "gallery") == [("4.jpg", 1, 0)]
    assert [r.identity for r in domain.source_records("train+test")] == [1, 0, 2, 2]


def test_a_table_of_numbers_keeps_them_and_drops_junk(data_root):
    domain = write_table(
        data_root, "split,path,identity,camera\nquery,a.jpg,17,3\ngallery,b.jpg,-1,4\ngallery,c.jpg,17,-1\n"
    )
    assert rows(domain, "query") == [("a.jpg", 17, 3)]
    assert rows(domain, "gallery") == [("c.jpg", 17, -1)]


def test_a_table_without_cameras(data_root):
    domain = write_table(data_root, "path,identity,split\na.jpg,1,train\n")
    assert rows(domain, "train") == [("a.jpg", 1, -1)]


def test_absolute_paths_move_the_root_up(data_root, tmp_path):
    domain = write_table(data_root, f"path,identity,camera,split\n{tmp_path}/else/a.jpg,1,0,train\nb.jpg,2,0,train\n")
    assert domain.root == tmp_path
    assert domain.records("train")[1].path.relative_to(domain.root).as_posix() == "x1_c2_data/b.jpg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,id,split\na.jpg,1,train\n", r"\['identity'\] are missing. The first line must be path,identity,camera"),
        ("path,identity,camera,split\na.jpg,1,0,trian\n", r"line 2 of .* split 'trian'; did you mean 'train'"),
        ("path,identity,camera,split\na.jpg,1,0,train\n,2,0,train\n", "line 3 of .* has no path or no identity"),
        ("path,identity,camera,split\n", "holds no image"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(data_root, text, message):
    with pytest.raises(DatasetError, match=message):
        write_table(data_root, text).records("train")


@pytest.mark.parametrize(
    "text",
    [
        "path,identity,camera,split\r\na.jpg,7,1,train\r\nb.jpg,8,2,query\r\n",
        "path,identity,camera,split\na.jpg,7,1,train\n\n\nb.jpg,8,2,query\n\n",
        " path , identity ,camera, split\n a.jpg , 7 ,1 , train \nb.jpg,8,2,query  ",
        '"path","identity","camera","split"\n"a.jpg","7","1","train"\n"b.jpg","8","2","query"\n',
    ],
    ids=["CRLF", "blank lines", "spaces", "quotes"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_as_programs_write_it(data_root, text, encoding):
    domain = write_table(data_root, "")
    (data_root / "list.csv").write_bytes(text.encode(encoding))
    assert rows(domain, "train") == [("a.jpg", 7, 1)]
    assert rows(domain, "query") == [("b.jpg", 8, 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns \[\]; \['identity', 'path', 'split'\] are missing"),
        ("path;identity;split\na.jpg;1;train\n", r"columns \['path;identity;split'\]; .* are missing"),
        ("path,identity,split,identity\na.jpg,1,train,2\n", r"\['identity'\] are there twice"),
        ("path,identity,split\na.jpg,1,train\n  \n", "line 3 of .* has no path or no identity"),
        ("path,identity,camera,split\na.jpg,1,-2,train\n", r"camera -2 of .*a\.jpg; cameras are counted from 0"),
        ("path,identity,split\na.jpg,1,train\na.jpg,1,train\n", r"a\.jpg is listed twice \(train\)"),
        ("path,identity,split\na.jpg,1,train\n./b/../a.jpg,1,query\n", r"a\.jpg is listed twice \(train and test\)"),
    ],
)
def test_a_table_with_mistakes_is_refused(data_root, text, message):
    with pytest.raises(DatasetError, match=message):
        write_table(data_root, text).records("train")


def test_junk_and_unknown_cameras_among_words(data_root):
    domain = write_table(
        data_root, "path,identity,camera,split\na.jpg,anna,door,query\nb.jpg,-1,yard,gallery\nc.jpg,anna,-1,gallery\n"
    )
    assert rows(domain, "query") == [("a.jpg", 0, 0)]
    assert rows(domain, "gallery") == [("c.jpg", 0, -1)]


def test_a_camera_below_the_first_is_refused(data_root):
    write_images(data_root / "lab" / "train", ["12_c0.jpg", "12_c1.jpg"])
    domain = FolderDomain(data_root=data_root, folder="lab", train="train", query=None, gallery=None)
    with pytest.raises(
        DatasetError, match=r"camera 0 of .*12_c0\.jpg is below 1, the first; .* first_camera is another"
    ):
        domain.records("train")
