"""How many queries fit in a memory budget."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgreid.errors import InputError
from dgreid.evaluation.block_sizes import BLOCK_QUERIES, MEMORY_LIMIT, block_ranges, queries_per_block

MIB = 2**20


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 3_000_000), st.floats(0.1, 5000), st.integers(0, 5000))
def test_a_block_of_float64_fits_or_the_message_says_what_would(gallery, limit, candidates):
    try:
        size = queries_per_block(gallery, limit, candidates)
    except InputError as error:
        words = str(error).split()
        enough = int(words[words.index("needs") + 1])
        assert enough > limit
        assert queries_per_block(gallery, enough, candidates) >= 1
    else:
        assert 1 <= size <= BLOCK_QUERIES
        assert 8 * gallery * size < limit * MIB


def test_more_memory_never_means_fewer_queries():
    sizes = [queries_per_block(82_161, limit, 100) for limit in (8, 16, 64, 256, 1024)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == BLOCK_QUERIES


def test_the_default_serves_the_fields_largest_galleries():
    assert queries_per_block(15_913) == BLOCK_QUERIES
    assert queries_per_block(82_161) > 300
    assert queries_per_block(1_000_000) > 20
    assert queries_per_block(0) == BLOCK_QUERIES
    assert MEMORY_LIMIT == 256


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_no_memory_is_refused(limit):
    with pytest.raises(InputError, match=r"memory_limit=.*: one query against 100 gallery images needs 1 MiB; give"):
        queries_per_block(100, limit)


def test_ranges_cover_all_queries_in_order():
    assert list(block_ranges(12, 5)) == [(0, 5), (5, 10), (10, 12)]
    assert list(block_ranges(10, 5)) == [(0, 5), (5, 10)]
    assert list(block_ranges(0, 5)) == []
