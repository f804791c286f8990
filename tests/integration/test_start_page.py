"""The commands of the page to start with, typed one after the other, with small nets and little data."""

from __future__ import annotations

import json
import sys

import pytest
from small_runs import SMALL
from written_commands import Written, commands

import dgreid.evaluate
import dgreid.train
from dgreid.evaluation import __main__ as evaluation
from dgreid.export import __main__ as export
from dgreid.search import __main__ as search

RUN = "runs/demo/synthetic_plaza+synthetic_station+synthetic_campus_to_synthetic_night/fb/seed0"
PAGE = [one for one in commands() if one.place.startswith("docs/start.md:") and "python" in one.words]
SMALLER = [word for word in SMALL if word.partition("=")[0] not in ("data", "net", "schedule")]
LEFT_OUT = (
    "seed=0,1,2",
    "protocol=synthetic/to_plaza",
    "strategy=il",
    "plan=true",
    "check",
)  # run elsewhere, or need real data


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in; what Hydra's commands set stays in this test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setenv("DGREID_MESSAGES", "1")
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def types(one: Written, data_root, monkeypatch) -> None:
    """Runs a command as its program would, on the small data."""
    words = one.words
    match words:
        case ["python", "train.py", *typed]:
            monkeypatch.setattr(sys, "argv", ["train.py", *typed, *SMALLER, f"data_root={data_root}", f"folder={RUN}"])
            dgreid.train.main()
        case ["python", "evaluate.py", *typed]:
            monkeypatch.setattr(sys, "argv", ["evaluate.py", *typed, f"data_root={data_root}", "accelerator=cpu"])
            dgreid.evaluate.main()
        case ["python", "-m", "dgreid.search", name, *typed]:
            monkeypatch.setattr(sys, "argv", ["search"])
            search.main([name, *typed, f"data_root={data_root}", "accelerator=cpu"])
        case ["python", "-m", "dgreid.export", *typed]:
            monkeypatch.setattr(sys, "argv", ["export", *typed])
            export.main()
        case ["python", "-m", "dgreid.evaluation", *typed]:
            assert evaluation.main(typed) == 0
        case _:
            pytest.fail(f"not known: {one.line}")


@pytest.mark.slow
def test_what_the_page_says_works(here, data_root, monkeypatch, capsys):
    chosen = [one for one in PAGE if not set(LEFT_OUT) & set(one.words)]
    assert len(chosen) == 7
    for one in chosen:
        types(one, data_root, monkeypatch)
    said = capsys.readouterr().out
    for part in ("untrained", "re-ranked", "too few impostor pairs", "indexed:", "answers:", "written:"):
        assert part in said
    folder = here / RUN
    assert json.loads((folder / "result.json").read_text())["protocol"] == "synthetic/to_night"
    assert (here / "embeddings.npz").is_file()
    assert (folder / "search" / "synthetic_night" / "answers" / "1" / "answers.html").is_file()
    assert (folder / "exports" / "selected" / "weights.safetensors").is_file()
