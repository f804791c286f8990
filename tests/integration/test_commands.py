"""The commands as a user types them: exit codes, messages, sweeps, and the method that the README writes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import CELL, SMALL, train_small

ROOT = Path(__file__).resolve().parents[2]


def command(*words: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        check=False,
        cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment},
    )  # fmt: skip


def assert_message(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert 'File "' not in done.stderr
    assert done.stderr.count("error: ") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def test_a_wrong_value_ends_with_one_message(data_root, tmp_path):
    done = command("train.py", *SMALL, *CELL, f"data_root={data_root}", f"runs={tmp_path}", "target=synthetic_nigth")
    assert_message(done, "target=synthetic_nigth", "did you mean 'synthetic_night'")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_key_ends_with_one_message(tmp_path):
    done = command("-m", "dgreid.train", "experiment=demo", "epoch=3", f"runs={tmp_path}")
    assert_message(done, "'epoch'", "did you mean 'epochs'")


def test_evaluation_says_what_it_found_and_what_it_did_not(data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", "epochs=1")
    done = command("evaluate.py", f"run={folder}", f"data_root={data_root}", "checkpoint=[initial,last]")
    assert done.returncode == 0, done.stderr
    for part in ("untrained", "last", "step", "mAP", "Rank-1", "mINP", "results:", "pictures:"):
        assert part in done.stdout
    assert_message(command("evaluate.py", f"run={tmp_path}/none"), f"{tmp_path}/none holds no run")


def test_a_sweep_goes_on_after_a_failing_job(data_root, tmp_path):
    choices = ("strategy=fb,fbf", "seed=0,1,x")
    done = command("train.py", "-m", *SMALL, *CELL, f"data_root={data_root}", f"runs={tmp_path}", "epochs=1", *choices)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count("error: seed=x: a whole number") == 2
    assert "error: not every run of this sweep succeeded" in done.stderr
    cell = tmp_path / "default" / "synthetic_plaza+synthetic_campus_to_synthetic_night"
    results = [json.loads(path.read_text()) for path in cell.glob("*/*/result.json")]
    assert sorted((result["strategy"], result["seed"]) for result in results) == [
        ("fb", 0), ("fb", 1), ("fbf", 0), ("fbf", 1),
    ]  # fmt: skip
    assert {path.parent.name for path in cell.glob("*/*")} == {"fb", "fbf"}
    assert len({result["fingerprint"] for result in results}) == 4


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


OWN_METHODS = [
    pytest.param("docs/your_method.md", "The shortest method", "cosine_softmax", id="shortest"),
    pytest.param("docs/methods/m3l.md", "Changing one thing", "m3l_in_turn", id="M3L"),
    pytest.param("docs/methods/il.md", "A style of your own", "il", id="style"),
]


def checkout_with(document: str, title: str, checkout: Path) -> tuple[list[str], str]:
    """A checkout in which a document's class was written where the document says; what is to be typed, and its name."""
    text = (ROOT / document).read_text(encoding="utf-8")
    section = text.partition(f"## {title}")[2].partition("\n## ")[0]
    (code,), (settings,), (typed,) = (blocks(section, language) for language in ("python", "yaml", "bash"))
    shutil.copytree(ROOT / "conf", checkout / "conf")
    shutil.copytree(ROOT / "src", checkout / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "train.py", checkout)
    names = re.findall(r"`([\w./]+)`[^\n]*:\n\n```(?:python|yaml)", section)
    assert [Path(name).suffix for name in names] == [".py", ".yaml"]
    (checkout / names[0]).write_text(code)
    (checkout / names[1]).write_text(settings)
    assert typed.startswith("python train.py ")
    return typed.split()[1:], re.findall(r"_target_: (\S+)", settings)[0]


@pytest.mark.parametrize(("document", "title", "strategy"), OWN_METHODS)
def test_a_documented_method_of_one_s_own_trains(document, title, strategy, data_root, tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    typed, name = checkout_with(document, title, checkout)
    small = [override for override in SMALL if override.partition("=")[0] not in ("data", "net", "schedule")]
    words = [*typed, *small, f"data_root={data_root}", f"runs={tmp_path}/runs", "epochs=1"]
    done = command(*words, folder=checkout, PYTHONPATH=str(checkout / "src"))
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs").glob("*/*/*/*/result.json")
    result = json.loads(path.read_text())
    assert f"_target_: {name}\n" in (path.parent / "config.yaml").read_text()
    assert result["strategy"] == strategy
    assert result["steps"] == 2
    assert 0 < result["rows"][0]["mAP"] <= 1
