"""Images inside cuhk-03.mat: pixels, forked workers, damaged files, extraction to PNG."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import HTML, PERSONS, TEST_SETS, crop_pixels, write_cuhk03_mat
from PIL import Image

from dgreid.data import cuhk03_mat
from dgreid.data.cuhk03_extract import extract, find_mat
from dgreid.data.cuhk03_mat import CropName, mat_crops, mat_people, mat_test_sets, read_mat_image
from dgreid.data.domains.base import DatasetError
from dgreid.errors import InputError


@pytest.fixture(scope="module")
def mat(tmp_path_factory):
    return write_cuhk03_mat(tmp_path_factory.mktemp("cuhk03") / "cuhk03_release" / "cuhk-03.mat")


def every_crop():
    return [
        CropName(pair, person, number)
        for pair, persons in PERSONS.items()
        for person, numbers in enumerate(persons, start=1)
        for number in numbers
    ]


@pytest.mark.parametrize("crops", ["labeled", "detected"])
def test_every_image_has_its_own_pixels_height_first(mat, crops):
    assert mat_crops(mat, crops) == every_crop()
    for name in every_crop():
        pixels = read_mat_image(name.path_in(mat, crops))
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        np.testing.assert_array_equal(pixels, crop_pixels(crops, *name))


def test_names_are_those_of_extracted_images():
    assert CropName(3, 17, 5).stem == "3_017_1_05"
    assert CropName(3, 17, 6).stem == "3_017_2_06"
    assert CropName(3, 17, 5).path_in(Path("cuhk-03.mat"), "detected") == Path("cuhk-03.mat/detected/3/017/05")


def test_numbers_in_a_path_need_no_zeros(mat):
    np.testing.assert_array_equal(read_mat_image(mat / "labeled/1/3/10"), crop_pixels("labeled", 1, 3, 10))


def test_persons_and_test_sets(mat):
    assert mat_people(mat) == [3, 2, 1, 1, 1]
    assert mat_test_sets(mat) == TEST_SETS


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("detected/1/001/03", "is empty"),
        ("detected/1/004/01", "names no image"),
        ("detected/9/001/01", "names no image"),
        ("painted/1/001/01", "names no image"),
        ("detected/1/001", "names no image"),
        ("detected/1/x/01", "names no image"),
    ],
)
def test_an_image_that_is_not_there(mat, inside, message):
    with pytest.raises(DatasetError, match=message):
        read_mat_image(mat / inside)


def test_a_path_outside_any_mat_is_refused():
    with pytest.raises(DatasetError, match=r"lies in no \.mat file"):
        read_mat_image(Path("images/1_001_1_01.png"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HTML, r"cuhk-03\.mat is an HTML page, not data.*in a browser"),
        (b"\n  <html>", "is an HTML page"),
        (b"", "is empty, not data"),
        (b"MATLAB 7.3 MAT-file".ljust(512), "no MATLAB 7.3 file, or was cut off.*download it again"),
        (None, r"cuhk-03\.mat is missing"),
    ],
)
def test_a_file_that_is_no_mat(tmp_path, content, message):
    mat = tmp_path / "cuhk-03.mat"
    if content is not None:
        mat.write_bytes(content)
    for read in (lambda: read_mat_image(mat / "detected/1/001/01"), lambda: mat_crops(mat, "detected")):
        with pytest.raises(DatasetError, match=message):
            read()


def test_another_mat_is_refused(tmp_path):
    import h5py

    with h5py.File(tmp_path / "cuhk-03.mat", "w") as file:
        file["detections"] = [1]
    with pytest.raises(DatasetError, match=r"has no 'detected': .*it has \['detections'\]"):
        mat_crops(tmp_path / "cuhk-03.mat", "detected")


def read_all(mat, results):
    results.put([read_mat_image(name.path_in(mat, "detected")).tobytes() for name in every_crop() * 5])


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_read_what_their_parent_reads(mat, method):
    expected = [read_mat_image(name.path_in(mat, "detected")).tobytes() for name in every_crop() * 5]
    context = multiprocessing.get_context(method)
    results = context.Queue()
    workers = [context.Process(target=read_all, args=(mat, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert [read_mat_image(name.path_in(mat, "detected")).tobytes() for name in every_crop() * 5] == expected
    assert [results.get(timeout=60) for _ in workers] == [expected, expected]
    for worker in workers:
        worker.join()


def count_open_files(results):
    results.put(len(cuhk03_mat._open_files))


def test_nothing_is_open_when_a_process_forks(mat):
    read_mat_image(mat / "labeled/1/3/10")
    assert len(cuhk03_mat._open_files) == 1
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    worker = context.Process(target=count_open_files, args=(results,))
    worker.start()
    assert results.get(timeout=60) == 0
    worker.join()


def test_extraction_writes_both_crops_and_then_refuses(tmp_path):
    mat = write_cuhk03_mat(tmp_path / "cuhk03" / "cuhk03_release" / "cuhk-03.mat")
    written = []
    folders = extract(find_mat(tmp_path), advance=lambda: written.append(1))
    assert [folder.name for folder in folders] == ["images_detected", "images_labeled"]
    assert len(written) == 2 * len(every_crop())
    for folder, crops in zip(folders, ("detected", "labeled"), strict=True):
        assert folder.parent == mat.parent
        assert sorted(path.name for path in folder.iterdir()) == [f"{name.stem}.png" for name in every_crop()]
        for name in every_crop():
            np.testing.assert_array_equal(
                np.asarray(Image.open(folder / f"{name.stem}.png")), crop_pixels(crops, *name)
            )
    with pytest.raises(InputError, match="has images_detected and images_labeled already"):
        extract(mat)


def test_an_interrupted_extraction_leaves_nothing_that_looks_finished(tmp_path):
    mat = write_cuhk03_mat(tmp_path / "cuhk-03.mat")
    written = []

    def stop_in_the_second_folder():
        written.append(1)
        if len(written) == len(every_crop()) + 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(mat, advance=stop_in_the_second_folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cuhk-03.mat", "images_detected"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "images_detected").iterdir()}
    assert extract(mat) == [tmp_path / "images_labeled"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "images_detected").iterdir()} == before


def test_a_missing_mat_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DatasetError, match=r"not found. Looked at:(.|\n)*cuhk03_release/cuhk-03\.mat(.|\n)*request"):
        find_mat(tmp_path)
