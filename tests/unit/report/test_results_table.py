"""The table of results: figures by hand, and who may be called the best."""

from __future__ import annotations

import statistics

import pytest
from made_runs import method

from dgreid.report.comparison import Resampling
from dgreid.report.further_tables import cost_table, difference_table, points, selection_table, settings_table
from dgreid.report.grouping import sheets
from dgreid.report.results_table import results_table

RESAMPLING = Resampling(resamples=300)


def table_of(runs):
    (sheet,) = sheets(runs)
    return results_table(sheet, RESAMPLING)


def measured(table):
    return {line.cells[0].text: line.cells for line in table.lines if line.kind == "measured"}


def best(table):
    return [line.cells[0].text for line in table.lines if line.cells[2].best]


def clear(folder, **values):
    """Two methods whose difference is far larger than what queries and seeds make of it."""
    return method(folder, "fb", (0.4, 0.41, 0.42)) + method(folder, "il", (0.6, 0.61, 0.62), **values)


def test_mean_and_deviation_over_seeds(tmp_path):
    runs = method(tmp_path, "fb", (0.5, 0.55, 0.45))
    precision, rank1 = ([100 * run.row("market1501")[metric] for run in runs] for metric in ("mAP", "rank1"))
    name, seeds, *cells = measured(table_of(runs))["fb"]
    assert (name.text, seeds.text) == ("fb", "3")
    assert [cell.text for cell in cells] == [
        f"{statistics.fmean(one):.1f} ± {statistics.stdev(one):.1f}" for one in (precision, rank1)
    ]


def test_one_seed_has_no_deviation(tmp_path):
    assert "±" not in measured(table_of(method(tmp_path, "fb", (0.5,))))["fb"][2].text


def test_the_mean_over_targets_is_of_seeds_that_have_all(tmp_path):
    runs = method(tmp_path / "a", "fb", (0.5, 0.55), ("cuhknp",)) + method(tmp_path / "b", "fb", (0.4,))
    cells = measured(table_of(runs))["fb"]
    mean = 100 * statistics.fmean((runs[0].row("cuhknp")["mAP"], runs[2].row("market1501")["mAP"]))
    assert cells[6].text == f"{mean:.1f}"
    assert cells[4].notes == cells[6].notes == ("1 of 2 seeds",)
    assert cells[2].notes == ()


def test_the_best_is_bold_where_the_interval_says_so(tmp_path):
    assert best(table_of(clear(tmp_path))) == ["il"]


def test_none_is_best_where_seeds_differ_by_more(tmp_path):
    runs = method(tmp_path, "fb", (0.4, 0.5, 0.6)) + method(tmp_path, "il", (0.7, 0.5, 0.65))
    assert best(table_of(runs)) == []


def test_a_single_seed_is_never_best(tmp_path):
    assert best(table_of(method(tmp_path, "fb", (0.3,)) + method(tmp_path, "il", (0.9,)))) == []


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"variant": ["cuhk_sysu is missing"]}, "variant of the protocol: cuhk_sysu is missing"),
        ({"config": {"selection": "oracle"}}, "checkpoint chosen on the target's test set"),
        ({"weights": {"source": "lup", "sha256": "12" * 32}}, "initial weights: lup 12121212"),
    ],
)
def test_what_is_no_equal_is_marked_and_never_best(tmp_path, values, note):
    third = method(tmp_path, "fbf", (0.5, 0.51, 0.52))
    table = table_of(clear(tmp_path, **values) + third)
    assert best(table) == ["fbf"]  # the clear best of the others
    assert note in measured(table)["il"][0].notes


def test_two_kinds_of_weights_and_none_is_the_rule(tmp_path):
    assert best(table_of(clear(tmp_path, weights={"source": "lup", "sha256": ""}))) == []


def test_published_rows_stand_below_with_their_source_and_are_never_best(tmp_path):
    table = table_of(clear(tmp_path))
    kinds = [line.kind for line in table.lines]
    assert kinds == sorted(kinds)
    (line,) = (line for line in table.lines if line.cells[0].text == "IL, ResNet-50")
    assert [cell.text for cell in line.cells[2:4]] == ["72.0", "88.5"]
    assert "TMM 2023" in line.cells[0].notes[0]
    assert "read by eye" in line.cells[0].notes[0]
    assert not any(cell.best for line in table.lines if line.kind == "published" for cell in line.cells)


def test_no_published_rows_without_a_protocol(tmp_path):
    assert {line.kind for line in table_of(method(tmp_path, "fb", (0.5,), group=None)).lines} == {"measured"}


def test_differences_in_points(tmp_path):
    runs = clear(tmp_path)
    (sheet,) = sheets(runs)
    table = difference_table(sheet, sheet.row("fb"), RESAMPLING)
    (line,) = table.lines
    figures = [run.row("market1501")["mAP"] for run in runs]
    value = 100 * (statistics.fmean(figures[3:]) - statistics.fmean(figures[:3]))
    assert line.cells[0].text == "il"
    assert line.cells[1].text.startswith(f"{value:+.1f} [+")


def test_what_choosing_on_the_test_set_was_worth(tmp_path):
    runs = method(tmp_path, "fb", (0.5, 0.6), rules={"oracle": 0.9, "source": 0.7})
    (sheet,) = sheets(runs)
    cells = [cell.text for cell in selection_table(sheet).lines[0].cells]
    last = [100 * run.row("market1501")["mAP"] for run in runs]
    assert cells[2:4] == ["70.0 ± 0.0", "90.0 ± 0.0"]
    worth = [90 - one for one in last]
    assert cells[4] == f"{statistics.fmean(worth):+.1f} ± {statistics.stdev(worth):.1f}"


def test_no_table_of_rules_where_all_have_one(tmp_path):
    (sheet,) = sheets(method(tmp_path, "fb", (0.5,)))
    assert selection_table(sheet) is None


def test_costs(tmp_path):
    (sheet,) = sheets(method(tmp_path, "fb", (0.5, 0.6)))
    (line,) = cost_table(sheet).lines
    # 20 steps x 2 sources x 16 identities x 4 images; 120 seconds; 2e9 bytes; 25.6e6 parameters
    assert [cell.text for cell in line.cells[1:]] == [
        "2", "20", "2,560", "2.0", "2.00", "25.60", "imagenet abababab", "cpu",
    ]  # fmt: skip


def test_settings_that_differ_are_told_but_not_a_methods_own(tmp_path):
    runs = method(tmp_path, "fb", (0.5,)) + method(tmp_path, "il", (0.5,), config={"optim": {"lr": 0.3}})
    table = settings_table(sheets(runs)[0])
    assert [column.name for column in table.columns] == ["method", "optim.lr"]
    assert [line.cells[1].text for line in table.lines] == ["0.1", "0.3"]
    assert settings_table(sheets(runs[:1])[0]) is None


@pytest.mark.parametrize(
    ("share", "text"), [(0.0123, "+1.2"), (-0.1, "-10.0"), (0.1, "+10.0"), (-0.0001, "0.0"), (0, "0.0")]
)
def test_signs_of_points(share, text):
    assert points(share) == text
