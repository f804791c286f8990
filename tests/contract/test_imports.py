"""The house rules that a reader relies on: imports run one way, heavy libraries have owners, files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "dgreid"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 320

# A unit is a file or folder right under src/dgreid; a new one gets its line here.
FOUNDATION = {
    "types", "errors", "distributed", "files", "archives", "draws", "batch_parts", "nonfinite", "progress", "html",
}  # fmt: skip
MATHEMATICS = {"nets", "memory", "losses", "meta", "gradients", "hypergradient", "style", "centroids", "schedules"}
BELOW_STRATEGIES = FOUNDATION | MATHEMATICS
BELOW_MODULE = BELOW_STRATEGIES | {"data", "synthetic", "evaluation", "strategies"}
BELOW_RUN = BELOW_MODULE | {"module", "callbacks", "loggers"}
MAY_IMPORT = {
    **dict.fromkeys(FOUNDATION, FOUNDATION),
    **dict.fromkeys(MATHEMATICS, BELOW_STRATEGIES),
    "synthetic": FOUNDATION,
    "data": FOUNDATION | {"synthetic"},
    "evaluation": FOUNDATION,
    "strategies": BELOW_STRATEGIES,
    "module": BELOW_MODULE,
    "callbacks": FOUNDATION,
    "loggers": FOUNDATION,
    "run": BELOW_RUN,
    "report": BELOW_RUN | {"run"},
    "export": BELOW_RUN | {"run"},
    "search": BELOW_RUN | {"run"},
    "testing": BELOW_RUN | {"run"},
    "benchmark": BELOW_RUN | {"run"},
    "commands": BELOW_RUN | {"run", "export", "search", "report", "benchmark"},
}
COMMANDS = ("train.py", "evaluate.py")  # and every __main__.py

OWNERS = {
    "pytorch_lightning": ("module.py", "callbacks.py", "loggers.py", "data/modules.py", "run/"),
    "lightning": (),  # the same library under another name: two copies of every class
    "hydra": ("run/", "testing/configured.py", *COMMANDS),
    "omegaconf": (
        "run/",
        "search/commands.py",
        "search/requests.py",
        "report/reading.py",
        "testing/configured.py",
        *COMMANDS,
    ),
    "faiss": ("evaluation/neighbours.py",),
    "wandb": ("loggers.py", "run/"),
    "onnx": ("export/onnx_file.py",),
    "onnxscript": (),  # torch's exporter imports it
    "onnxruntime": ("export/onnx_file.py",),
}


def unit_of(file: Path) -> str:
    """The unit a file belongs to; commands are one unit wherever they lie."""
    place = file.relative_to(PACKAGE)
    if place.name == "__main__.py" or place.as_posix() in COMMANDS:
        return "commands"
    return place.parts[0].removesuffix(".py")


def module_name(file: Path) -> str:
    """Dotted name of a file of the package."""
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(source: str) -> list[str]:
    """Dotted names of all that is imported anywhere in a file, also in functions; relative ones begin with a dot."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names += [f"{base}.{alias.name}" for alias in node.names]
    return names


def violations(file: Path, source: str) -> list[str]:
    """What is wrong with the imports of a file."""
    unit, place = unit_of(file), file.relative_to(PACKAGE).as_posix()
    allowed = MAY_IMPORT.get(unit)
    if place == "__init__.py":
        allowed = set()
    if allowed is None:
        return [f"{place}: give the new unit '{unit}' its line in MAY_IMPORT"]
    wrong = []
    for name in imported_modules(source):
        top, _, rest = name.partition(".")
        if not top:
            wrong.append(f"{place} imports {name}: write the full name")
        elif top == "dgreid" and rest.split(".")[0] not in allowed | {unit, "__version__"}:
            wrong.append(f"{place} imports {name}: {unit} may import {', '.join(sorted(allowed))}")
        elif top in OWNERS and not owns(place, top):
            wrong.append(f"{place} imports {name}: only {', '.join(OWNERS[top]) or 'nobody'} may")
    return wrong


def owns(place: str, library: str) -> bool:
    """Whether a file is among those that may import a library."""
    if library in ("hydra", "omegaconf") and place.endswith("__main__.py"):
        return True
    return any(place == owner or (owner.endswith("/") and place.startswith(owner)) for owner in OWNERS[library])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_run_one_way(file):
    assert violations(file, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("strategies/new.py", "from dgreid.data.images import read"),
        ("strategies/new.py", "import pytorch_lightning as lightning"),
        ("strategies/new.py", "def loss():\n    from omegaconf import OmegaConf"),
        ("evaluation/ranking.py", "import faiss.contrib.torch_utils"),
        ("evaluation/ranking.py", "from dgreid import run"),
        ("nets/new.py", "from ..strategies import base"),
        ("module.py", "import dgreid.run.training"),
        ("module.py", "import lightning.pytorch"),
        ("types.py", "from dgreid.nets import resnet"),
        ("data/__main__.py", "import pytorch_lightning"),
        ("nursery/new.py", "import torch"),
        ("__init__.py", "from dgreid.types import Clock"),
    ],
)
def test_the_rules_notice(place, source):
    assert len(violations(PACKAGE / place, source)) == 1


def loaded_by(modules: list[str], libraries: list[str]) -> str:
    """Which of the libraries a fresh interpreter has loaded after importing the modules."""
    code = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; "
    code += f"print([name for name in {libraries} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by(["dgreid"], list(OWNERS)) == "[]"


def test_strategies_and_evaluation_need_no_framework():
    units = {*MATHEMATICS, "strategies", "evaluation"}
    modules = [module_name(file) for file in FILES if unit_of(file) in units and file.name != "neighbours.py"]
    assert loaded_by(modules, list(OWNERS)) == "[]"


def test_training_and_evaluation_need_neither_faiss_nor_wandb():
    assert loaded_by(["dgreid.train", "dgreid.evaluate"], ["faiss", "wandb"]) == "[]"


SOURCES = [*FILES, *sorted(ROOT.glob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_files_stay_short(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{lines} lines, at most {LONGEST_FILE}: split it by what its parts are"
