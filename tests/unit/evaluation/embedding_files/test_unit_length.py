from __future__ import annotations

import numpy as np
import pytest

from dgreid.errors import InputError
from dgreid.evaluation.embedding_files import unit_length
from dgreid.evaluation.embedding_files.unit_length import at_unit_length, row_lengths


@pytest.fixture(autouse=True)
def several_parts(monkeypatch):
    monkeypatch.setattr(unit_length, "ROWS_AT_ONCE", 3)


def rows(count=10, width=5):
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)


def test_lengths():
    assert row_lengths(rows()) == pytest.approx([sum(float(x) ** 2 for x in row) ** 0.5 for row in rows()], rel=1e-12)


def test_rows_that_are_long_enough_are_left_alone():
    unit = rows() / np.linalg.norm(rows(), axis=1, keepdims=True)
    assert at_unit_length(unit, "x") is unit
    close = (unit * 1.0009).astype(np.float32)
    assert at_unit_length(close, "x") is close


def test_one_row_off_and_all_become_unit_rows_of_the_same_direction():
    given = rows() / np.linalg.norm(rows(), axis=1, keepdims=True)
    given[7] *= 1.0011
    before = given.copy()
    found = at_unit_length(given, "x")
    np.testing.assert_array_equal(given, before)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, before / np.linalg.norm(before.astype(float), axis=1, keepdims=True), atol=6e-8)


def test_very_long_and_very_short_rows_have_a_direction():
    given = np.array([[3e30, 4e30], [3e-30, 4e-30]], dtype=np.float32)
    np.testing.assert_allclose(at_unit_length(given, "x"), [[0.6, 0.8], [0.6, 0.8]], rtol=1e-6)


def test_a_row_of_zeros_is_refused_by_its_number():
    given = rows()
    given[8] = 0
    with pytest.raises(InputError, match="mine: embedding of row 8 is 0, so it has no direction"):
        at_unit_length(given, "mine")
