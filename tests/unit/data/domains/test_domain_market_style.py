"""Market-1501, DukeMTMC-reID and CUHK-NP in folders: names, junk, distractors, places."""

import warnings

import pytest
from dataset_trees import CUHKNP as CUHKNP_NAMES
from dataset_trees import DUKE, MARKET, market_style_tree, write_image

from dgreid.data.domains.base import Counts, CountWarning, DatasetError
from dgreid.data.domains.cuhknp import CUHKNP
from dgreid.data.domains.dukemtmc import DukeMTMC
from dgreid.data.domains.market1501 import Market1501
from dgreid.errors import InputError
from dgreid.types import ReIDRecord

pytestmark = pytest.mark.filterwarnings("ignore::dgreid.data.domains.base.CountWarning")


@pytest.fixture
def data_root(tmp_path):
    # A pattern searched in the whole path would find identity 1 and camera 2 here.
    return tmp_path / "x1_c2_data"


def listed(domain, subset):
    return [(r.path.name, r.identity, r.camera) for r in domain.records(subset)]


def test_market_keeps_distractors_in_the_gallery_and_drops_junk_and_strays(data_root):
    root = market_style_tree(data_root / "market1501" / "Market-1501-v15.09.15", MARKET)
    domain = Market1501(data_root=data_root)
    assert domain.root == root
    assert listed(domain, "train") == [
        ("0002_c1s1_000451_03.jpg", 2, 0),
        ("0002_c2s1_000776_01.jpg", 2, 1),
        ("0007_c6s3_077419_03.jpg", 7, 5),
    ]
    assert listed(domain, "gallery") == [
        ("0000_c3s1_000151_01.jpg", 0, 2),
        ("0001_c2s1_000301_02.jpg", 1, 1),
        ("0001_c5s1_000401_02.jpg", 1, 4),
        ("0003_c4s1_000551_01.jpg", 3, 3),
    ]
    assert domain.count(domain.records("gallery")) == (2, 4)


def test_market_as_a_source(data_root):
    root = market_style_tree(data_root / "market1501" / "Market-1501-v15.09.15", MARKET)
    domain = Market1501(data_root=data_root)
    assert [r.identity for r in domain.source_records("train")] == [0, 0, 1]
    both = domain.source_records("train+test")
    assert len(both) == 3 + 2 + 3  # neither junk nor distractors
    assert sorted({r.identity for r in both}) == [0, 1, 2, 3]
    assert ReIDRecord(root / "query" / "0003_c2s1_000151_00.jpg", 3, 1) in both
    assert list(both) == sorted(both, key=lambda r: str(r.path))


def test_duke_trains_on_people_that_are_in_the_gallery_only(data_root):
    market_style_tree(data_root / "dukemtmc" / "DukeMTMC-reID", DUKE)
    domain = DukeMTMC(data_root=data_root)
    assert listed(domain, "train") == [("0001_c2_f0046182.jpg", 1, 1), ("0005_c8_f0000001.jpg", 5, 7)]
    labels = {r.path.name: r.identity for r in domain.source_records("train+test")}
    assert labels == {
        "0001_c2_f0046182.jpg": 0, "0005_c8_f0000001.jpg": 1, "0002_c1_f0044158.jpg": 2, "0002_c3_f0044200.jpg": 2,
        "7139_c4_f0044300.jpg": 3,
    }  # fmt: skip


@pytest.mark.parametrize("crops", ["detected", "labeled"])
def test_cuhknp_reads_the_crops_that_were_asked_for(data_root, crops):
    root = market_style_tree(data_root / "cuhknp" / crops, CUHKNP_NAMES)
    domain = CUHKNP(data_root=data_root, crops=crops)
    assert domain.root == root
    assert listed(domain, "train") == [("0001_c1_1.png", 1, 0), ("0001_c2_6.png", 1, 1), ("0003_c1_11.png", 3, 0)]
    assert len(domain.records("query")) == len(domain.records("gallery")) == 2
    assert crops in domain.version


LAYOUTS = [
    (Market1501, MARKET, "market1501/Market-1501-v15.09.15"),
    (Market1501, MARKET, "Market-1501-v15.09.15"),
    (Market1501, MARKET, "market1501"),
    (Market1501, MARKET, "."),
    (DukeMTMC, DUKE, "dukemtmc/DukeMTMC-reID"),
    (DukeMTMC, DUKE, "DukeMTMC-reID"),
    (DukeMTMC, DUKE, "."),
    (CUHKNP, CUHKNP_NAMES, "cuhknp/detected"),
    (CUHKNP, CUHKNP_NAMES, "cuhk03-np/detected"),
    (CUHKNP, CUHKNP_NAMES, "detected"),
    (CUHKNP, CUHKNP_NAMES, "."),
]


@pytest.mark.parametrize(("domain", "names", "place"), LAYOUTS)
def test_every_usual_place_is_found(data_root, domain, names, place):
    root = market_style_tree(data_root / place, names)
    found = domain(data_root=str(data_root))
    assert found.root == root
    assert found.records("query")


def test_a_bare_folder_is_not_taken_for_a_sibling(data_root):
    market_style_tree(data_root, MARKET)
    with pytest.raises(DatasetError, match="dukemtmc was not found"):
        DukeMTMC(data_root=data_root).records("query")
    with pytest.raises(DatasetError, match="cuhknp was not found"):
        CUHKNP(data_root=data_root).records("query")


def test_a_bare_folder_is_not_taken_for_the_other_crops(data_root):
    market_style_tree(data_root / "detected", CUHKNP_NAMES)
    assert CUHKNP(data_root=data_root / "detected").records("query")
    with pytest.raises(DatasetError, match="cuhknp was not found"):
        CUHKNP(data_root=data_root / "detected", crops="labeled").records("query")


@pytest.mark.parametrize("domain", [Market1501, DukeMTMC, CUHKNP])
def test_a_missing_data_set_says_where_it_was_looked_for_and_where_to_get_it(tmp_path, domain):
    missing = domain(data_root=tmp_path)  # construction looks at nothing
    with pytest.raises(DatasetError) as caught:
        _ = missing.root
    message = str(caught.value)
    assert all(str(tmp_path / place) in message for place in missing.places)
    assert "bounding_box_train" in message
    assert "DGREID_DATA" in message
    assert "data_root=" in message
    assert domain.obtain in message


def test_duke_tells_that_it_was_withdrawn(tmp_path):
    with pytest.raises(DatasetError, match=r"withdrawn in 2019.*consent"):
        _ = DukeMTMC(data_root=tmp_path).root


@pytest.mark.parametrize("data_root", [None, "", "/no/such/folder"])
def test_a_data_root_that_does_not_exist_is_refused(data_root):
    with pytest.raises(InputError, match=r"data_root.*DGREID_DATA"):
        _ = Market1501(data_root=data_root).root


def test_a_missing_folder_is_named(data_root):
    names = {subset: files for subset, files in MARKET.items() if subset != "query"}
    market_style_tree(data_root / "market1501", names)
    with pytest.raises(DatasetError, match=r"the folder .*market1501/query is missing"):
        Market1501(data_root=data_root).records("train")


def test_a_name_that_says_nothing_is_refused(data_root):
    root = market_style_tree(data_root / "market1501", MARKET)
    write_image(root / "query" / "photo.jpg")
    with pytest.raises(DatasetError, match=r"photo\.jpg does not match"):
        Market1501(data_root=data_root).records("train")


@pytest.mark.parametrize(("name", "message"), [("1502_c1s1_1_1.jpg", "identity 1502"), ("0001_c7s1_1_1.jpg", "camera")])
def test_an_identity_or_camera_out_of_range_is_refused(data_root, name, message):
    root = market_style_tree(data_root / "market1501", MARKET)
    write_image(root / "query" / name)
    with pytest.raises(DatasetError, match=f"{message}.*not in 0"):
        Market1501(data_root=data_root).records("train")


def test_an_empty_data_set_is_refused(data_root):
    root = market_style_tree(data_root / "market1501", {subset: [] for subset in MARKET})
    with pytest.raises(DatasetError, match=f"{root} holds no image"):
        Market1501(data_root=data_root).records("train")


def test_unknown_crops_are_refused_at_construction(tmp_path):
    with pytest.raises(InputError, match=r"cuhknp: crops=detectd: did you mean 'detected'"):
        CUHKNP(data_root=tmp_path, crops="detectd")


def touch(folder, names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.slow
def test_market_of_full_size_is_what_is_published(tmp_path):
    test = range(752, 1502)
    touch(tmp_path / "bounding_box_train", (f"{i % 751 + 1:04d}_c{i % 6 + 1}s1_{i:06d}_00.jpg" for i in range(12_936)))
    touch(tmp_path / "query", (f"{test[i % 750]:04d}_c{i % 6 + 1}s1_{i:06d}_00.jpg" for i in range(3_368)))
    gallery = [f"{test[i % 750]:04d}_c{i % 6 + 1}s1_{i:06d}_01.jpg" for i in range(13_115)]
    gallery += [f"0000_c{i % 6 + 1}s1_{i:06d}_02.jpg" for i in range(2_798)]
    touch(tmp_path / "bounding_box_test", gallery + [f"-1_c1s1_{i:06d}_03.jpg" for i in range(3_819)])
    domain = Market1501(data_root=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CountWarning)
        sources = domain.source_records("train+test")
    assert (len({r.identity for r in sources}), len(sources)) == (1_501, 29_419)


@pytest.mark.slow
def test_duke_of_full_size_is_what_is_published_and_one_image_less_is_told(tmp_path):
    touch(tmp_path / "bounding_box_train", (f"{i % 702 + 1:04d}_c{i % 8 + 1}_f{i:07d}.jpg" for i in range(16_522)))
    touch(tmp_path / "query", (f"{i % 702 + 1001:04d}_c{i % 8 + 1}_f{i:07d}.jpg" for i in range(2_228)))
    touch(tmp_path / "bounding_box_test", (f"{i % 1110 + 1001:04d}_c{i % 8 + 1}_f{i:07d}.jpg" for i in range(17_661)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", CountWarning)
        sources = DukeMTMC(data_root=tmp_path).source_records("train+test")
    assert (len({r.identity for r in sources}), len(sources)) == (1_812, 36_411)
    next((tmp_path / "bounding_box_test").iterdir()).unlink()
    with pytest.warns(CountWarning, match=r"gallery has .* 17,660 images, published.*lacks one gallery image"):
        DukeMTMC(data_root=tmp_path).records("gallery")


@pytest.mark.slow
def test_detected_cuhknp_of_full_size_is_what_is_published(tmp_path):
    train, test = range(1, 768), range(768, 1_468)
    touch(tmp_path / "bounding_box_train", (f"{train[i % 767]:04d}_c{i % 2 + 1}_{i}.png" for i in range(7_365)))
    touch(tmp_path / "query", (f"{test[i % 700]:04d}_c{i % 2 + 1}_{i}.png" for i in range(1_400)))
    touch(tmp_path / "bounding_box_test", (f"{test[i % 700]:04d}_c{i % 2 + 1}_{i + 1_400}.png" for i in range(5_332)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", CountWarning)
        sources = CUHKNP(data_root=tmp_path).source_records("train+test")
    assert (len({r.identity for r in sources}), len(sources)) == (1_467, 14_097)


def test_the_copy_of_duke_that_circulates_is_told_from_others():
    domain = DukeMTMC(data_root=None)
    assert "lacks one gallery image" in domain.explain_count("gallery", Counts(1_110, 17_660))
    assert "unpack" in domain.explain_count("gallery", Counts(1_110, 17_659))


def test_a_wrong_count_warns(data_root):
    market_style_tree(data_root / "market1501", MARKET)
    with pytest.warns(
        CountWarning, match="train has 2 identities and 3 images, published are 751 and 12,936; .*unpack"
    ):
        Market1501(data_root=data_root).records("train")
