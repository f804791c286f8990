"""CUHK03: classic protocol from JSON and .mat, new protocol from the release; damaged and missing files."""

import pytest
from dataset_trees import (
    HTML,
    NEW_PROTOCOL,
    PERSONS,
    TEST_SETS,
    cuhk03_json_tree,
    il_cuhk03_tree,
    write_cuhk03_mat,
    write_image,
    write_new_protocol,
)  # fmt: skip

from dgreid.data.cuhk03_extract import extract
from dgreid.data.cuhk03_mat import read_mat_image
from dgreid.data.domains.base import DatasetError
from dgreid.data.domains.cuhk03 import CUHK03
from dgreid.data.domains.cuhknp import CUHKNP
from dgreid.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::dgreid.data.domains.base.CountWarning")


@pytest.fixture
def data_root(tmp_path):
    return tmp_path / "x1_c2_data"


def json_tree(data_root):
    return cuhk03_json_tree(data_root / "cuhk03" / "cuhk03_release")


def mat_tree(data_root):
    return write_cuhk03_mat(data_root / "cuhk03" / "cuhk03_release" / "cuhk-03.mat").parent


def sizes(split):
    """(identity, camera) -> images, labeled and detected together, for the test people and the others."""
    people = [person for persons in PERSONS.values() for person in persons]
    first = {pair: sum(len(PERSONS[p]) for p in range(1, pair)) for pair in PERSONS}
    test = {first[pair] + person - 1 for pair, person in TEST_SETS[split]}
    train, tested = {}, {}
    for identity, numbers in enumerate(people):
        for camera in (0, 1):
            seen = sum((number > 5) == bool(camera) for number in numbers)
            if seen:
                (tested if identity in test else train)[identity, camera] = 2 * seen
    return train, tested


def counted(records):
    keys = [(r.identity, r.camera) for r in records]
    return {key: keys.count(key) for key in keys}


@pytest.mark.parametrize("write", [json_tree, mat_tree])
@pytest.mark.parametrize("split", [0, 1, 19])
def test_classic_splits(data_root, write, split):
    root = write(data_root)
    domain = CUHK03(data_root=data_root, split=split)
    assert domain.root == root
    train, tested = sizes(split)
    assert counted(domain.records("train")) == train
    # One query image an identity and camera, and every other image in the gallery.
    assert counted(domain.records("query")) == dict.fromkeys(tested, 1)
    assert counted(domain.records("gallery")) == {key: n - 1 for key, n in tested.items() if n > 1}
    assert not {r.path for r in domain.records("query")} & {r.path for r in domain.records("gallery")}
    both = domain.source_records("train+test")
    assert len(both) == sum(train.values()) + sum(tested.values())
    assert {r.identity for r in both} == set(range(8))


def test_the_query_image_is_the_last(data_root):
    json_tree(data_root)
    # Person 3 of pair 1 is identity 2: five labeled, then five detected images a camera.
    names = {r.path.name for r in CUHK03(data_root=data_root).records("query") if r.identity == 2}
    assert names == {"00000002_00_0009.jpg", "00000002_01_0009.jpg"}


def test_the_mat_has_the_same_last_image(data_root):
    mat_tree(data_root)
    parts = {r.path.parts[-4:] for r in CUHK03(data_root=data_root).records("query") if r.identity == 2}
    assert parts == {("detected", "1", "003", "05"), ("detected", "1", "003", "10")}


@pytest.mark.parametrize("place", ["cuhk03/cuhk03_release", "cuhk03", "cuhk03_release", "."])
@pytest.mark.parametrize("write", [cuhk03_json_tree, lambda folder: write_cuhk03_mat(folder / "cuhk-03.mat").parent])
def test_every_usual_place_of_the_classic_protocol(data_root, place, write):
    root = write(data_root / place)
    domain = CUHK03(data_root=data_root)
    assert domain.root == root
    assert domain.records("train")


def test_the_whole_outer_folder_may_be_the_data_root(data_root):
    root = il_cuhk03_tree(data_root / "cuhk03")
    assert CUHKNP(data_root=root).records("train")
    assert CUHKNP(data_root=root / "cuhk03_release").records("train")


@pytest.mark.parametrize("split", [-1, 20, "3"])
def test_a_split_that_does_not_exist_is_refused_at_construction(split):
    with pytest.raises(InputError, match=r"split=.* must be a whole number in 0\.\.19"):
        CUHK03(data_root="anywhere", split=split)


@pytest.mark.parametrize("missing", ["meta.json", "splits.json"])
def test_a_missing_list_is_named(data_root, missing):
    (json_tree(data_root) / missing).unlink()
    with pytest.raises(DatasetError, match=f"{missing} is missing"):
        CUHK03(data_root=data_root).records("train")


@pytest.mark.parametrize(
    ("content", "message"),
    [("[", "is not JSON"), ("[1, 2]", "must hold identities"), ("[]", "something else")],
)
def test_a_list_of_another_kind_is_refused(data_root, content, message):
    (json_tree(data_root) / "splits.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        CUHK03(data_root=data_root).records("train")


def test_missing_cuhk03_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DatasetError, match=r"cuhk03 was not found(.|\n)*cuhk03_release(.|\n)*on request from CUHK"):
        _ = CUHK03(data_root=tmp_path).root


@pytest.mark.parametrize("domain", [CUHK03, CUHKNP])
def test_a_web_page_instead_of_the_mat(data_root, domain):
    il_cuhk03_tree(data_root / "cuhk03")
    (data_root / "cuhk03" / "cuhk03_release" / "cuhk-03.mat").write_bytes(HTML)
    with pytest.raises(DatasetError, match=r"cuhk-03\.mat is an HTML page.*in a browser"):
        domain(data_root=data_root).records("train")


@pytest.mark.parametrize(
    ("content", "message"), [(HTML, "is an HTML page"), (b"", "is empty"), (b"MATLAB 5.0 cut off", "cannot be read")]
)
def test_a_damaged_split_file(data_root, content, message):
    il_cuhk03_tree(data_root / "cuhk03")
    (data_root / "cuhk03" / "cuhk03_new_protocol_config_detected.mat").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        CUHKNP(data_root=data_root).records("train")


def test_a_missing_split_file_says_where_it_comes_from(data_root):
    write_cuhk03_mat(data_root / "cuhk03" / "cuhk03_release" / "cuhk-03.mat")
    with pytest.raises(DatasetError, match=r"cuhk03_new_protocol_config_detected\.mat is missing.*zhunzhong07"):
        CUHKNP(data_root=data_root).records("train")


def expected_new_protocol(subset):
    return sorted((stem, identity, int(stem[6]) - 1) for stem, identity, name in NEW_PROTOCOL if name == subset)


def mat_stem(path):
    _, pair, person, number = path.parts[-4:]
    return f"{pair}_{person}_{1 if int(number) <= 5 else 2}_{number}"


@pytest.mark.parametrize("crops", ["detected", "labeled"])
def test_new_protocol_from_the_mat(data_root, crops):
    root = il_cuhk03_tree(data_root / "cuhk03", crops)
    domain = CUHKNP(data_root=data_root, crops=crops)
    assert domain.root == root
    for subset in ("train", "query", "gallery"):
        records = domain.records(subset)
        assert sorted((mat_stem(r.path), r.identity, r.camera) for r in records) == expected_new_protocol(subset)
        assert all(r.path.parts[-4] == crops and read_mat_image(r.path).ndim == 3 for r in records)


def test_split_file_inside_the_release(data_root):
    mat_tree(data_root)
    write_new_protocol(data_root / "cuhk03" / "cuhk03_release" / "cuhk03_new_protocol_config_detected.mat")
    assert len(CUHKNP(data_root=data_root).records("train")) == 3


def test_new_protocol_from_images_that_another_code_base_extracted(data_root):
    write_new_protocol(data_root / "cuhk03" / "cuhk03_new_protocol_config_detected.mat")
    for stem, _, _ in NEW_PROTOCOL:
        write_image(data_root / "cuhk03" / "images_detected" / f"{stem}.png")
    domain = CUHKNP(data_root=data_root)
    for subset in ("train", "query", "gallery"):
        listed = sorted((r.path.stem, r.identity, r.camera) for r in domain.records(subset))
        assert listed == expected_new_protocol(subset)


def test_an_image_that_the_split_names_and_nobody_has(data_root):
    write_new_protocol(data_root / "cuhk03" / "cuhk03_new_protocol_config_detected.mat")
    write_image(data_root / "cuhk03" / "images_detected" / "1_001_1_01.png")
    with pytest.raises(DatasetError, match=r"the split file names 1_001_2_06.*extraction was interrupted"):
        CUHKNP(data_root=data_root).records("train")


def test_png_folders_come_before_the_release(data_root):
    il_cuhk03_tree(data_root / "cuhk03")
    write_image(data_root / "cuhknp" / "detected" / "bounding_box_train" / "0001_c1_1.png")
    assert CUHKNP(data_root=data_root).root == data_root / "cuhknp" / "detected"


def test_extracted_images_give_the_same_lists(data_root):
    root = il_cuhk03_tree(data_root / "cuhk03")

    def rows(domain):
        return [(r.identity, r.camera) for subset in ("train", "query", "gallery") for r in domain.records(subset)]

    before = rows(CUHKNP(data_root=data_root)), rows(CUHK03(data_root=data_root))
    extract(root / "cuhk03_release" / "cuhk-03.mat")
    after = CUHKNP(data_root=data_root), CUHK03(data_root=data_root)
    assert (rows(after[0]), rows(after[1])) == before
    assert all(r.path.suffix == ".png" and r.path.is_file() for domain in after for r in domain.records("train"))
