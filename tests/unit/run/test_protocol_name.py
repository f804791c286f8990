"""A result names a protocol only if it followed it."""

from __future__ import annotations

import pytest

from dgreid.run.training import protocol_name

CHOSEN = "synthetic/to_night"


@pytest.mark.parametrize(
    "overrides",
    [[], ["strategy=fbf", "seed=3"], ["data_root=/d", "synthetic.folder=/d"], ["domain.market1501.data_root=/d"]],
)
def test_what_the_protocol_leaves_open_keeps_its_name(overrides):
    assert protocol_name(CHOSEN, 0.0, overrides) == CHOSEN


@pytest.mark.parametrize(
    "override",
    ["sources=[a]", "target=a", "use=train+test", "synthetic=tiny", "+synthetic.seed=1", "domain.cuhknp.crops=labeled"],
)
def test_other_data_make_a_variant(override):
    assert protocol_name(CHOSEN, 0.0, [override]) == f"variant of {CHOSEN}"


def test_held_out_people_make_a_variant():
    assert protocol_name(CHOSEN, 0.1, []) == f"variant of {CHOSEN}"


def test_no_protocol_stays_none():
    assert protocol_name(None, 0.1, ["sources=[a]"]) is None
