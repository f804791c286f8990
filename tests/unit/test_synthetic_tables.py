"""The synthetic benchmark's tables, worked out by hand, and where its results go."""

import json
import sys
from pathlib import Path

import pytest

from dgreid.errors import InputError
from dgreid.synthetic.draws import VERSION

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from synthetic import FOLDER, PUBLISHED, SEEDS, argument_parser, once, results_file
from synthetic_cells import METHODS, TARGETS, all_cells, changes_results, configurations
from synthetic_table import record, size, summary, tables


def finish(cell, score, rank1=0.5, seen=None, seconds=100.0):
    """Writes what a finished run would have written."""
    cell.folder.mkdir(parents=True)
    environment = {"commit": "abc", "threads": 1, "device": "cpu", "packages": {"torch": "2.15.0"}}
    summary_of = {f"synthetic_{cell.target}": {"mAP": score, "rank1": rank1}}
    content = {"summary": summary_of, "training_seconds": seconds, "steps": 10, "fingerprint": "f"}
    (cell.folder / "result.json").write_text(json.dumps({**content, "environment": environment}))
    if seen is not None:
        folder = cell.folder / "evaluations" / "some"
        folder.mkdir(parents=True)
        scored = {name: {"mAP": seen, "rank1": rank1} for name in cell.sources}
        (folder / "result.json").write_text(json.dumps({"summary": scored}))


@pytest.fixture
def finished(tmp_path):
    """Two methods, two targets, three seeds; FBF is 0.10 and 0.20 better, one of its runs is missing."""
    cells = all_cells(("fb", "fbf"), ("plaza", "night"), (0, 1, 2), tmp_path, ())
    for cell in cells:
        better = 0 if cell.method == "fb" else 0.1 if cell.target == "plaza" else 0.2
        if (cell.method, cell.target, cell.seed) != ("fbf", "night", 2):
            finish(cell, 0.4 + better + 0.01 * (cell.seed - 1), seen=0.9, seconds=100.0 + cell.seed)
    return [cell for cell in cells if cell.state() == "finished"]


def test_the_tables_by_hand(finished):
    text = tables([record(cell) for cell in finished], ("plaza", "night"))
    lines = text.splitlines()
    # FB: 39, 40, 41 everywhere. FBF: 49, 50, 51 and 59, 60; means 54 and 55; to FB ((50 - 40) + (59.5 - 40)) / 2.
    assert "| `fb` | 40.0 ± 1.0 | 40.0 ± 1.0 | 40.0 ± 1.0 | - |" in lines
    # Variances over runs: 1/3 each of three, 0.5 / 2; their sum over the squared number of targets is 0.3125.
    assert "| `fbf` | 50.0 ± 1.0 | 59.5 ± 0.7 (2 of 3) | 54.5 ± 0.7 (2 of 3) | +14.8 ± 0.6 |" in lines
    assert "| `fbf` | 5 | 101 |" in lines
    # Each domain was seen by the runs to the other one.
    assert "| `fb` | 90.0 → 40.0 | 90.0 → 40.0 | 90.0 → 40.0 | 50.0 |" in lines


def test_the_resolution_is_in_points_and_for_the_planned_number_of_runs(finished):
    found = summary([record(cell) for cell in finished], ("plaza", "night"))["mAP"]["within_cells"]
    # Squares 2, 2, 2, 0.5 with 7 degrees; t(0.975; 7) = 2.364624.
    assert found["standard_deviation"] == pytest.approx((6.5 / 7) ** 0.5)
    assert found["degrees_of_freedom"] == 7
    expected = 2.364624 * (6.5 / 7) ** 0.5
    assert found["smallest_difference_on_one_target"] == pytest.approx(expected * (2 / 3) ** 0.5, rel=1e-6)
    assert found["smallest_difference_on_mean_over_targets"] == pytest.approx(expected * (2 / 6) ** 0.5, rel=1e-6)


def test_a_record_keeps_fractions_and_where_they_come_from(finished):
    found = record(finished[0])
    assert (found["method"], found["target"], found["seed"], found["mAP"]) == ("fb", "plaza", 0, 0.39)
    assert (found["commit"], found["threads"], found["torch"]) == ("abc", 1, "2.15.0")
    assert set(found["seen"]) == {"station", "campus", "night"}


def test_runs_of_two_sizes_share_no_table(tmp_path):
    cells = all_cells(("fb", "fbf"), ("night",), (0,), tmp_path, ())
    for cell, config in list(configurations(cells)):
        finish(cell, 0.5)
        (cell.folder / "config.yaml").write_text(json.dumps(config))
    assert size(cells)["steps"] == config["epochs"] * config["steps_per_epoch"]
    (cells[1].folder / "config.yaml").write_text(json.dumps({**config, "steps_per_epoch": 7}))
    with pytest.raises(InputError, match=r"fbf.*another benchmark.*steps"):
        size(cells)


def test_only_the_whole_benchmark_overwrites_the_published_results():
    whole = len(METHODS) * len(TARGETS) * len(SEEDS)

    def written(*words, finished=whole):
        return results_file(argument_parser().parse_args(words), finished)

    assert written() == written("--", "data_root=/d") == PUBLISHED
    part = FOLDER / f"v{VERSION}" / "results.json"
    assert written(finished=whole - 1) == written("--", "steps_per_epoch=5") == part
    assert written("--seeds", "0", "1", "3") == part
    assert written("--folder", "other") == Path("other") / f"v{VERSION}" / "results.json"
    assert written("--json", "here.json", "--seeds", "0") == Path("here.json")


def test_places_and_devices_change_no_result():
    assert not changes_results(["data_root=/d", "trainer.accelerator=gpu", "synthetic.folder=/f"])
    assert changes_results(["data_root=/d", "synthetic=tiny"])


def test_repetitions_count_once():
    assert once([2, 0, 2]) == [2, 0]
