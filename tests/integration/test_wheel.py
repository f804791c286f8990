"""The wheel, installed beside nothing of the checkout: its commands start, and a run equals that of ``train.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from documents import ROOT
from interrupted_runs import assert_same_run
from small_runs import SMALL

pytestmark = pytest.mark.slow

DEMO = ("experiment=demo", "strategy=il", *SMALL, "optim.lr=1e-3")


def done(*words, folder, **environment):
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    process = subprocess.run(
        [str(word) for word in words], cwd=folder, capture_output=True, text=True, timeout=600, check=False,
        env={**inherited, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **environment},
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=ROOT)
    (file,) = folder.glob("dgreid-*.whl")
    return file


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An interpreter that has the wheel, and of this environment the libraries alone."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    own = place / "bin" / "python"
    (packages,) = place.glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched, but the .pth files in it, an editable install's too, are not read.
    (packages / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    done(sys.executable, "-m", "pip", "--python", own, "install", "-q", "--no-deps", "--no-index", wheel, folder=place)
    return own


def test_the_wheel_holds_the_package_its_configuration_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"dgreid"}
    expected = {f"dgreid/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert {name for name in names if name.startswith("dgreid/conf/")} == expected
    assert {"dgreid/py.typed", "dgreid/__init__.pyi", "dgreid/__main__.py"} <= set(names)
    tracked = done("git", "ls-files", "src/dgreid", folder=ROOT).split()
    assert {name.removeprefix("src/") for name in tracked} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".ckpt", ".jpg"))]


def test_what_is_imported_is_the_wheel_s(python, tmp_path):
    lines = (
        "import dgreid, sys; from dgreid.run.compose import conf_folder; print(dgreid.__file__); print(conf_folder())"
    )
    for line in done(python, "-c", f"{lines}; print(*sys.path, sep='\\n')", folder=tmp_path).splitlines()[:2]:
        assert Path(line).is_relative_to(python.parents[1])
        assert not Path(line).is_relative_to(ROOT / "src")
    paths = done(python, "-c", "import sys; print(*sys.path, sep='\\n')", folder=tmp_path).splitlines()
    assert str(ROOT / "src") not in paths


@pytest.fixture(scope="module")
def run(python, data_root, tmp_path_factory):
    """A run by the installed command, from an empty folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    done(python, "-m", "dgreid.train", *DEMO, f"data_root={data_root}", "folder=run", folder=folder)
    return folder / "run"


def test_the_installed_command_equals_train_py(run, data_root, tmp_path):
    done(sys.executable, ROOT / "train.py", *DEMO, f"data_root={data_root}", f"folder={tmp_path}/run", folder=tmp_path)
    assert_same_run(run, tmp_path / "run", 4)
    one, other = (json.loads((folder / "result.json").read_text()) for folder in (run, tmp_path / "run"))
    assert one["rows"] == other["rows"]
    assert one["fingerprint"] == other["fingerprint"]


def test_the_other_commands_start_from_there(python, run, data_root, tmp_path):
    data = f"data_root={data_root}"
    said = done(python, "-m", "dgreid.evaluate", f"run={run}", data, "accelerator=cpu", folder=tmp_path)
    assert "synthetic_night" in said
    done(
        python,
        "-m",
        "dgreid.search",
        "index",
        "gallery=synthetic_night",
        f"run={run}",
        data,
        "name=here",
        folder=tmp_path,
    )
    query = next((data_root / "synthetic").glob("**/query/*.jpg"))
    said = done(
        python, "-m", "dgreid.search", "query", f"images={query}", f"run={run}", data, "name=here", folder=tmp_path
    )
    assert query.name in said
    done(python, "-m", "dgreid.export", f"run={run}", "format=safetensors", folder=tmp_path)
    assert "synthetic_night" in done(python, "-m", "dgreid.data", "check", "synthetic_night", data, folder=tmp_path)
    assert "il" in done(python, "-m", "dgreid.report", run, folder=tmp_path)
    assert "m3l" in done(python, "-m", "dgreid", "list", "strategies", folder=tmp_path)
    assert "score" in done(python, "-m", "dgreid.evaluation", "--help", folder=tmp_path)
    assert "contact-sheet" in done(python, "-m", "dgreid.synthetic", "--help", folder=tmp_path)
