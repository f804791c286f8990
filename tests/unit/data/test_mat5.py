from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from dgreid.data.mat5 import read_mat5

# Written by MATLAB 6.1 to 7.4 on machines of both byte orders, where scipy is installed with its tests.
BY_MATLAB = sorted((Path(scipy.io.__file__).parent / "matlab" / "tests" / "data").glob("test[!h]*_[67].*.mat"))
NUMBERS = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


def assert_equal_to_scipy(path_or_file, content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {name: value for name, value in loadmat(path_or_file).items() if not name.startswith("__")}
    found = read_mat5(content)
    assert set(found) <= set(expected)
    for name, value in found.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, expected[name])
        elif expected[name].dtype == object:
            assert value == [str(cell[0]) if cell.size else "" for cell in expected[name].ravel(order="F")]
    return found


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (2, 5), (2, 3, 4), (0, 3)])
def test_numbers_are_those_that_scipy_wrote(shape, kind, packed):
    array = np.random.default_rng(0).integers(0, 100, shape).astype(kind)
    file = io.BytesIO()
    savemat(file, {"a": array, "long_name_of_another": array * 2}, do_compression=packed)
    found = read_mat5(file.getvalue())
    np.testing.assert_array_equal(found["a"], array)
    np.testing.assert_array_equal(found["long_name_of_another"], array * 2)


@pytest.mark.parametrize("packed", [False, True])
def test_cells_of_words(packed):
    words = np.array([["a.png", "日本.png"], ["", "ö" * 50]], dtype=object)
    file = io.BytesIO()
    savemat(
        file, {"names": words, "one": "abc", "mixed": np.array(["a", np.ones(3)], dtype=object)}, do_compression=packed
    )
    found = read_mat5(file.getvalue())
    assert found["names"] == ["a.png", "", "日本.png", "ö" * 50]
    assert found["one"] == ["abc"]
    assert "mixed" not in found, "cells of numbers are passed over"


def test_other_kinds_are_passed_over():
    file = io.BytesIO()
    savemat(file, {"s": {"a": 1}, "c": np.array([1j]), "sparse": scipy.sparse.eye(3, format="csc"), "n": np.arange(3)})
    assert list(read_mat5(file.getvalue())) == ["n"]


@pytest.mark.skipif(not BY_MATLAB, reason="scipy was installed without its tests")
def test_files_of_matlab_itself():
    counted = [name for path in BY_MATLAB for name in assert_equal_to_scipy(path, path.read_bytes())]
    assert len(counted) >= 20


@pytest.mark.parametrize("content", [b"", b"MATLAB", bytes(200), b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_other_files(content):
    with pytest.raises(ValueError, match="no file of MATLAB 5"):
        read_mat5(content)


def test_an_array_that_would_fill_all_memory():
    file = io.BytesIO()
    savemat(file, {"a": np.zeros(2**24)}, do_compression=True)
    assert len(file.getvalue()) < 2**18
    with pytest.raises(ValueError, match="cut off, or too large"):
        read_mat5(file.getvalue())


@settings(max_examples=300, derandomize=True, deadline=None)
@given(data=st.data())
def test_damaged_files_give_values_or_a_reason(data):
    """scipy's reader ends the process in some of these."""
    file = io.BytesIO()
    savemat(file, {"names": np.array(["a.png", "b.png"], dtype=object), "labels": np.array([[1], [2]])})
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(124, len(content) - 1))
        if data.draw(st.booleans()):
            content[place] ^= data.draw(st.integers(1, 255))
        else:
            del content[place : place + data.draw(st.sampled_from([1, 4, 8]))]
    try:
        read_mat5(bytes(content))
    except ValueError as reason:
        assert "\n" not in str(reason)  # noqa: PT017 - either outcome is right
