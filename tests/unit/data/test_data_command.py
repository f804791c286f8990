"""``python -m dgreid.data``: tables, JSON, exit codes, extraction."""

import json
import subprocess
import sys

import pytest
from dataset_trees import MARKET, il_cuhk03_tree, market_style_tree, write_cuhk03_mat, write_images

from dgreid.data.__main__ import main


@pytest.fixture
def data_root(tmp_path):
    return tmp_path / "x1_c2_data"


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def own_data(data_root):
    write_images(data_root / "shop" / "query", ["1_c1_0.jpg", "2_c1_0.jpg"])
    write_images(data_root / "shop" / "bounding_box_test", ["1_c2_0.jpg", "2_c2_0.jpg"])
    return [f"data_root={data_root}", "domain.folder.folder=shop", "domain.folder.train=null"]


def test_a_sound_data_set_exits_with_zero_and_a_table(capsys, data_root):
    code, out, _ = run(capsys, "check", "folder", *own_data(data_root))
    assert code == 0
    assert "folder  ok" in out
    lines = [line.split("│") for line in out.splitlines() if "│" in line]
    assert [cell.strip() for cell in lines[0][1:5]] == ["query", "2", "2", "1"]


def test_a_problem_exits_with_one_and_says_what_to_do(capsys, data_root):
    market_style_tree(data_root / "market1501", MARKET)
    code, out, _ = run(capsys, "check", "market1501", f"data_root={data_root}")
    assert code == 1
    assert "3 of 12,936" in out
    assert "problem: market1501: train has 2 identities" in out
    assert "what to do: the copy is incomplete" in out


def test_json_holds_all_that_the_tables_do(capsys, data_root):
    root = market_style_tree(data_root / "market1501", MARKET)
    code, out, _ = run(capsys, "check", "market1501", "--json", "--lists-only", f"data_root={data_root}")
    assert code == 1
    report = json.loads(out)
    [domain] = report["domains"]
    assert (report["format"], report["data_root"]) == (1, str(data_root))
    assert (domain["name"], domain["status"], domain["root"]) == ("market1501", "problem", str(root))
    assert (domain["version"], domain["family"], domain["expected_cameras"]) == ("v15.09.15", "market1501", 6)
    gallery = domain["subsets"]["gallery"]
    assert {key: gallery[key] for key in gallery if key != "list_hash"} == {
        "identities": 2, "images": 4, "cameras": 4, "expected_identities": 750, "expected_images": 15_913,
    }  # fmt: skip
    assert len(gallery["list_hash"]) == 64
    assert {finding["level"] for finding in domain["findings"]} == {"problem", "note"}
    assert all(finding["way_out"] for finding in domain["findings"])


def test_without_names_what_is_there_is_examined_and_what_is_not_is_no_problem(capsys, data_root):
    arguments = own_data(data_root)
    code, out, _ = run(capsys, "check", "--json", *arguments, "synthetic=tiny")
    statuses = {domain["name"]: domain["status"] for domain in json.loads(out)["domains"]}
    assert code == 0
    assert statuses["folder"] == "ok"
    real = {"csv", "cuhk03", "cuhk_sysu", "cuhknp", "dukemtmc", "market1501", "msmt17v1", "msmt17v2"}
    assert {statuses[name] for name in real} == {"absent"}


def test_nothing_at_all(capsys, data_root):
    code, _, err = run(capsys, "check", f"data_root={data_root}")
    assert code == 1
    assert f"data_root={data_root} is not a folder; name the folder" in err
    data_root.mkdir()
    code, out, err = run(capsys, "check", f"data_root={data_root}")
    assert (code, err) == (0, "")
    assert out.split()[:3] == ["not", "found", "below"]


def test_a_named_domain_that_is_missing_is_a_problem(capsys, data_root):
    data_root.mkdir()
    code, out, _ = run(capsys, "check", "msmt17v2", f"data_root={data_root}")
    assert code == 1
    assert "msmt17v2 was not found. Looked at:" in out
    assert "list_query.txt" in out


def test_options_of_a_domain_can_be_given(capsys, data_root):
    il_cuhk03_tree(data_root / "cuhk03", "labeled")
    _, out, _ = run(capsys, "check", "cuhknp", "domain.cuhknp.crops=labeled", f"data_root={data_root}")
    assert "new protocol 767/700, labeled" in out
    assert "3 of 7,368" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["markt1501"], "did you mean 'market1501'"),
        (["cuhknp", "domain.cuhknp.crop=labeled"], "crop"),
        (["cuhknp", "--jsn"], "unrecognized arguments: --jsn"),
        (["cuhknp", "domain.cuhknp.crops=labelled"], r"did you mean 'labeled'"),
        (["market1501", "data_root=/no/such/folder"], "data_root=/no/such/folder is not a folder"),
    ],
)
def test_what_cannot_be_understood_is_one_message(capsys, words, message):
    try:
        code, out, err = run(capsys, "check", *words)
    except SystemExit as stop:  # argparse's way
        code, (out, err) = stop.code, capsys.readouterr()
    assert code in (1, 2)
    assert message in out + err
    assert "Traceback" not in out + err


def test_prepare_extracts_and_then_refuses(capsys, data_root):
    mat = write_cuhk03_mat(data_root / "cuhk03" / "cuhk03_release" / "cuhk-03.mat")
    code, out, _ = run(capsys, "prepare", "cuhk03", f"data_root={data_root}")
    assert code == 0
    assert out.splitlines() == [f"written: {mat.parent / name}" for name in ("images_detected", "images_labeled")]
    code, _, err = run(capsys, "prepare", "cuhk03", f"data_root={data_root}")
    assert code == 1
    assert "already; remove them first" in err


@pytest.mark.slow
def test_it_is_a_command(data_root):
    data_root.mkdir()
    command = [sys.executable, "-m", "dgreid.data", "check", "market1501", f"data_root={data_root}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "market1501 was not found" in done.stdout
