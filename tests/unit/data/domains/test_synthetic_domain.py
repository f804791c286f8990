import warnings
from pathlib import Path

import pytest

from dgreid.data.domains.base import CountWarning
from dgreid.data.domains.synthetic import SyntheticCampus, SyntheticNight, SyntheticPlaza, SyntheticStation
from dgreid.errors import InputError

KINDS = [SyntheticPlaza, SyntheticStation, SyntheticCampus, SyntheticNight]
SIZE = {"train_identities": 5, "test_identities": 4, "images_per_identity": 6, "height": 32, "width": 16}


def domain(kind, folder):
    return kind(name=f"synthetic_{kind.__name__.removeprefix('Synthetic').lower()}", folder=folder, **SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("x1_c2_data")


@pytest.mark.parametrize("kind", KINDS)
def test_construction_does_no_io(kind, tmp_path):
    made = domain(kind, tmp_path / "nowhere")
    assert made.family == made.name
    assert made.expected["train"] == (5, 30)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_finds_exactly_what_is_expected(kind, folder):
    made = domain(kind, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {subset: made.count(made.records(subset)) for subset in ("train", "query", "gallery")}
    assert found == made.expected
    assert all(record.path.is_file() for subset in found for record in made.records(subset))


@pytest.mark.parametrize(("kind", "images"), [(SyntheticPlaza, 54), (SyntheticNight, 54), (SyntheticStation, 54)])
def test_train_and_test_together_are_all_people(kind, images, folder):
    records = domain(kind, folder).source_records("train+test")
    assert len(records) == images
    assert {record.identity for record in records} == set(range(9))


@pytest.mark.parametrize(
    ("kind", "cameras"), [(SyntheticPlaza, 6), (SyntheticStation, 12), (SyntheticCampus, 8), (SyntheticNight, 2)]
)
def test_cameras(kind, cameras, folder):
    made = domain(kind, folder)
    seen = {record.camera for subset in ("train", "query", "gallery") for record in made.records(subset)}
    assert seen <= set(range(cameras))
    assert len(seen) >= min(cameras, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_query_has_a_match_by_another_camera(kind, folder):
    made = domain(kind, folder)
    gallery = {(record.identity, record.camera) for record in made.records("gallery")}
    for query in made.records("query"):
        assert any(identity == query.identity and camera != query.camera for identity, camera in gallery)


def test_plaza_keeps_distractors_and_drops_junk(folder):
    made = domain(SyntheticPlaza, folder)
    files = {path.name for path in (made.root / "bounding_box_test").iterdir()}
    listed = {record.path.name for record in made.records("gallery")}
    assert files - listed == {name for name in files if name.startswith("-1_")}
    assert sum(record.identity == 0 for record in made.records("gallery")) == 4


def test_a_missing_file_warns_with_the_way_out(tmp_path):
    made = domain(SyntheticCampus, tmp_path)
    next((made.root / "query").iterdir()).unlink()
    with pytest.warns(
        CountWarning, match=r"synthetic_campus: query has 4 identities and 11 images.*delete .* drawn again"
    ):
        made.records("query")


def test_a_relative_folder_stays_where_it_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = domain(SyntheticCampus, "data")
    assert made.root.parent == tmp_path / "data"
    assert made.root.is_absolute()


def test_no_folder_is_refused():
    with pytest.raises(InputError, match=r"synthetic_plaza: synthetic\.folder is empty; name a folder"):
        domain(SyntheticPlaza, "")


def test_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert domain(SyntheticPlaza, "~/data").folder == Path(tmp_path) / "data"


def test_asking_whether_it_is_on_disk_draws_nothing(tmp_path):
    made = domain(SyntheticPlaza, tmp_path)
    assert not made.is_on_disk
    assert not list(tmp_path.iterdir())
    made.records("query")
    assert made.is_on_disk
