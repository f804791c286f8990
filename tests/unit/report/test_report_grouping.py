"""Runs that are equal in all but their seed are one row; a row is named by what tells it from others."""

from __future__ import annotations

import pytest
from made_runs import made, method

from dgreid.errors import InputError
from dgreid.report.grouping import sheets
from dgreid.report.pictures import trained_on_others
from dgreid.run.protocols import UNTOLD


def names(runs):
    return [[row.name for row in sheet.rows] for sheet in sheets(runs)]


def test_seeds_and_targets_are_one_row(tmp_path):
    runs = method(tmp_path, "fb", (0.5, 0.6), ("market1501", "cuhknp")) + method(tmp_path, "il", (0.5,))
    (sheet,) = sheets(runs)
    assert (sheet.protocol, sheet.targets) == ("p3", ("cuhknp", "market1501"))
    assert {row.name: len(row.runs) for row in sheet.rows} == {"fb": 4, "il": 1}
    assert [run.seed for run in sheet.row("fb").on("cuhknp")] == [0, 1]


def test_rows_of_a_strategy_are_told_apart_by_as_little_as_possible(tmp_path):
    runs = method(tmp_path / "a", "fb", (0.5,))
    runs += method(tmp_path / "b", "fb", (0.5,), config={"optim": {"lr": 0.2}, "epochs": 3})
    runs += method(tmp_path / "c", "il", (0.5,), config={"optim": {"lr": 0.3}})
    style = {"_target_": "dgreid.style.MixStyle", "probability": 0.5}
    runs += method(tmp_path / "d", "fb", (0.5,), config={"loss_style": style})
    assert names(runs) == [["fb, epochs=2", "fb, epochs=3", "fb, loss_style=MixStyle", "il"]]
    (sheet,) = sheets(runs)
    assert [row.settings["optim.lr"] for row in sheet.rows] == ["0.1", "0.2", "0.1", "0.3"]


def test_the_data_of_a_domain_tells_rows_apart(tmp_path):
    boxes = [{"domain": {"cuhknp": {"crops": kind}}} for kind in ("detected", "labeled")]
    runs = [made(tmp_path / str(place), config=config) for place, config in enumerate(boxes)]
    assert names(runs) == [["fb, domain.cuhknp.crops=detected", "fb, domain.cuhknp.crops=labeled"]]


def test_a_domain_that_a_cell_has_nothing_to_do_with_tells_nothing(tmp_path):
    runs = [
        made(tmp_path / name, target=name, config={"domain": {name: {"junk": "dropped"}, other: {"crops": "all"}}})
        for name, other in (("market1501", "cuhk03"), ("cuhknp", "msmt17v1"))
    ]
    assert names(runs) == [["fb"]]


def test_other_images_of_a_target_are_another_row(tmp_path):
    runs = [made(tmp_path / "a"), made(tmp_path / "b")]
    other = [{"name": "market1501", "query": {"list_hash": "other"}, "gallery": {"list_hash": "g"}}]
    runs[1] = made(tmp_path / "c", targets=other)
    assert names(runs) == [["fb, domain.market1501.query images=other", "fb, domain.market1501.query images=q"]]


def test_initial_weights_and_variants_are_rows_of_their_own(tmp_path):
    weights = {"source": "/home/me/lup.pth", "sha256": "12" * 32}
    runs = [made(tmp_path / "a"), made(tmp_path / "b", weights=weights), made(tmp_path / "c", variant=["no cuhk03"])]
    (sheet,) = sheets(runs)
    assert sorted((row.weights, row.variant) for row in sheet.rows) == [
        ("imagenet abababab", ()), ("imagenet abababab", ("no cuhk03",)), ("lup.pth 12121212", ()),
    ]  # fmt: skip
    assert all("/home" not in row.name for row in sheet.rows)


def test_a_variant_of_all_cells_is_one_row_with_all_that_deviates(tmp_path):
    small = {name: [f"crops of {name} is labeled, not detected"] for name in ("market1501", "cuhknp")}
    runs = [made(tmp_path / name, target=name, variant=sentences) for name, sentences in small.items()]
    ((row,),) = [sheet.rows for sheet in sheets(runs)]
    assert set(row.variant) == {sentence for sentences in small.values() for sentence in sentences}


def test_a_variant_with_other_sources_is_named_by_them(tmp_path):
    runs = [made(tmp_path / "a"), made(tmp_path / "b", variant=["sources are msmt17v1, not msmt17v1, cuhk_sysu"])]
    assert len(names(runs)[0]) == 2
    assert any("sources" in key for row in sheets(runs)[0].rows for key in row.settings)


def test_older_results_mark_a_variant_by_its_name(tmp_path):
    old = made(tmp_path / "a", protocol="variant of p3/to_market1501", variant=None)
    unknown = made(tmp_path / "b", seed=1, variant=None)
    assert (old.protocol, old.variant) == ("p3/to_market1501", (UNTOLD,))
    assert unknown.variant is None
    assert len(names([old, unknown])[0]) == 2


def test_each_protocol_has_its_table_and_so_have_sources_without_one(tmp_path):
    runs = [made(tmp_path / "a"), made(tmp_path / "b", group="il"), made(tmp_path / "c", group=None)]
    titles = [sheet.title for sheet in sheets(runs)]
    assert titles == ["no protocol: trained on msmt17v1+cuhk_sysu (train+test)", "il", "p3"]


def test_the_same_run_twice_is_refused(tmp_path):
    runs = [made(tmp_path / "a"), made(tmp_path / "b")]
    with pytest.raises(InputError, match=r"/a and .*/b are the same run twice \(seed 0, target market1501\)"):
        sheets(runs)


def test_rows_by_name(tmp_path):
    runs = method(tmp_path / "a", "fb", (0.5,)) + method(tmp_path / "b", "fb", (0.5,), config={"epochs": 3})
    (sheet,) = sheets(runs)
    assert sheet.row("fb, epochs=3").name == "fb, epochs=3"
    with pytest.raises(InputError, match=r"baseline=fb: several rows are meant .*epochs=2, fb, epochs=3"):
        sheet.row("fb")
    with pytest.raises(InputError, match=r"baseline=il: no such row in p3; .*fb, epochs=2"):
        sheet.row("il")


def test_sources_tell_rows_apart_where_targets_do_not_give_them(tmp_path):
    places = [("a", "x", ["one"]), ("b", "x", ["two"]), ("c", "y", ["one"])]
    runs = [made(tmp_path / name, target=target, config={"sources": of}) for name, target, of in places]
    assert names(runs) == [["fb, sources=one", "fb, sources=two"]]
    assert [list(rows) for rows in (trained_on_others(sheet) for sheet in sheets(runs))] == [["fb"]]


def test_leave_one_out_is_one_row_and_no_matrix_of_sources(tmp_path):
    places = [("a", "x", ["one", "two"]), ("b", "y", ["one", "three"])]
    runs = [made(tmp_path / name, target=target, config={"sources": of}) for name, target, of in places]
    assert names(runs) == [["fb"]]
    assert trained_on_others(sheets(runs)[0]) == {}


def test_without_a_protocol_sources_always_tell(tmp_path):
    places = [("a", "x", ["one", "two"]), ("b", "y", ["one", "three"])]
    runs = [made(tmp_path / name, target=target, group=None, config={"sources": of}) for name, target, of in places]
    assert names(runs) == [["fb, sources=one+three", "fb, sources=one+two"]]
    assert sheets(runs)[0].title == "no protocol"
