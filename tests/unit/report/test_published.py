"""Published rows: their averages are what their cells say, and the protocols' files say the same."""

from __future__ import annotations

import re
import statistics

import pytest
import yaml

from dgreid.report.published import FILE, SCORES, all_published, published
from dgreid.run.compose import conf_folder

ROWS = all_published()
CELLS = sorted(file for file in (conf_folder() / "protocol").rglob("*.yaml"))
PAIR = re.compile(r"(\d+\.\d) / (\d+\.\d)")
# The protocols' files break lines between a method and its figures; nothing but figures has this form in them.
STATED = [
    pytest.param(file.parent.name, file.stem.removeprefix("to_"), (float(precision), float(rank1)))
    for file in CELLS
    for precision, rank1 in PAIR.findall(re.sub(r"\n# ?", " ", file.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("row", [row for row in ROWS if row.average], ids=lambda row: f"{row.protocol} {row.method}")
def test_stated_averages_are_those_of_the_cells(row):
    digits = 2 if row.protocol == "p1_with_dukemtmc" else 1
    # Both are rounded: the cells' mean may be off by half a digit, and the average by another half.
    rounding = 1.01 * 10**-digits
    for place in (0, 1):
        assert statistics.fmean(score[place] for score in row.scores.values()) == pytest.approx(
            row.average[place], abs=rounding
        )


def test_there_are_all_tables():
    counts = {protocol: sum(row.protocol == protocol for row in ROWS) for protocol in {row.protocol for row in ROWS}}
    assert counts == {
        "m3l": 5, "m3l_recommended": 3, "msmt17_all": 4, "il": 22, "leave_one_out": 15, "p1": 15,
        "p1_with_dukemtmc": 2, "p2": 18, "p3": 17,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "method", "target", "score"),
    [
        ("m3l", "M3L, ResNet-50", "msmt17v2", (12.9, 33.0)),
        ("m3l_recommended", "M3L, ResNet-50-IBN", "cuhknp", (31.4, 31.6)),
        ("il", "FB, ResNet-50", "market1501", (59.3, 81.2)),
        ("il", "FBF, ResNet-50", "dukemtmc", (53.6, 73.0)),
        ("il", "IL, ResNet-50", "msmt17v1", (20.2, 45.7)),
        ("il", "MUVA", "cuhknp", (48.6, 49.6)),
        ("p1", "CLIP-DFGS, image encoder", "ilids", (93.5, 90.0)),
        ("p1_with_dukemtmc", "MetaBIN, ResNet-50", "prid", (80.98, 74.20)),
        ("p2", "ReNorm", "msmt17v1", (25.6, 55.6)),
        ("p3", "IL, ResNet-50", "market1501", (72.0, 88.5)),
        ("p3", "CILP-FGDI", "cuhknp", (50.1, 50.1)),
    ],
)
def test_figures_by_name(protocol, method, target, score):
    (found,) = (row.scores[target] for row in published(protocol) if row.method == method)
    assert found[:2] == score


def test_a_deviation_over_splits_is_kept():
    (row,) = (row for row in published("p1_with_dukemtmc") if row.method == "MetaBIN, ResNet-50")
    assert row.scores["grid"] == (57.87, 48.40, 3.22, 3.91)


def test_rows_of_two_protocols_stand_beside_both_and_say_so():
    for protocol in ("il", "m3l_recommended"):
        rows = [row for row in published(protocol) if row.method == "MUVA"]
        assert len(rows) == 1
        assert any("training sets alone" in remark for remark in rows[0].remarks)
    assert not any(row.method == "MUVA" for row in published("m3l") + published("p3"))


@pytest.mark.parametrize("method", ["CILP-FGDI", "CLIP-ReID", "ISR", "CLIP-DFGS, text encoder"])
def test_other_pretraining_is_said(method):
    for row in (row for row in ROWS if row.method == method and (method, row.protocol) != ("ISR", "p2")):
        assert any("pre-training" in remark for remark in row.remarks), row.protocol


def test_every_remark_and_source_is_used():
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert set(content["remarks"]) == {mark for row in ROWS for mark in row.marks}
    assert set(content["sources"].values()) == {row.source for row in ROWS}


@pytest.mark.parametrize("text", ["48.1", "48.1/", "48.1/74.5/1.0", "48/74", "nan/1.0"])
def test_anything_else_is_no_pair_of_figures(text):
    assert SCORES.fullmatch(text) is None


def test_protocols_state_figures():
    assert len(STATED) >= 30


@pytest.mark.parametrize(("protocol", "target", "pair"), STATED)
def test_what_a_protocol_states_is_published(protocol, target, pair):
    assert pair in [row.scores[target][:2] for row in published(protocol) if target in row.scores]


@pytest.mark.parametrize(
    "file",
    [file for file in CELLS if "Published" in file.read_text()],
    ids=lambda file: f"{file.parent.name}/{file.stem}",
)
def test_each_cell_with_published_figures_finds_them(file):
    target = yaml.safe_load(file.read_text())["target"]
    assert any(target in row.scores for row in published(file.parent.name))
