"""No file of the project calls what runs code that a file of data may hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for part in ("src/**/*.py", "*.py", "benchmarks/**/*.py") for path in ROOT.glob(part))

# Calls by the last parts of their names, and the argument that makes them harmless; None: none does.
CALLS = {
    "torch.load": ("weights_only", True),
    "hub.load": None,
    "yaml.load": None,
    "yaml.unsafe_load": None,
    "yaml.full_load": None,
    "pickle.load": None,
    "pickle.loads": None,
    "Unpickler": None,
    "joblib.load": None,
    "os.system": None,
    "os.popen": None,
    "add_safe_globals": None,
    "extractall": None,
    "unpack_archive": None,
    "load_from_checkpoint": None,
    "register_new_resolver": None,
}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "runpy", "code"}
# Not from files: a pipe to processes that the same program has started, with what it has made itself.
PIPES = {"synthetic/worker.py", "synthetic/generation.py"}
# Only the name of an exception.
ERRORS = {"nets/weights.py"}
# Hydra's own door: what it builds is named by the user's groups, or was checked by run/trust.py.
BUILDERS = {"run/build.py", "run/planning.py", "data/__main__.py", "run/trust.py", "run/values.py", "run/listing.py"}
# Names of the project's own, from a table in the file; and a method of the user's, in a test of it.
BUILDERS |= {"__init__.py", "testing/configured.py"}
BUILDING = {"instantiate", "get_object", "get_class", "get_method", "import_module"}


def named(node):
    """The dotted name of what is called; empty where it has none."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ".".join(reversed(parts))


def given(call, name):
    return next((word.value for word in call.keywords if word.arg == name), None)


def is_constant(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def violations(place, source):
    """What in a file could run code that data hold."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            heavy = {name.split(".")[0] for name in names} & MODULES
            if heavy and place not in PIPES | ERRORS:
                found.append(f"{place}: imports {heavy}")
        if not isinstance(node, ast.Call):
            continue
        name = named(node.func)
        last = name.rpartition(".")[2]
        for wrong, harmless in CALLS.items():
            hit = name == wrong or name.endswith(f".{wrong}") or ("." not in wrong and last == wrong)
            if not hit or (place in PIPES and wrong.startswith("pickle.")):
                continue
            if harmless is None or not is_constant(given(node, harmless[0]), harmless[1]):
                found.append(f"{place}:{node.lineno}: {name}")
        if isinstance(node.func, ast.Name) and name in BUILT_IN:  # not net.eval()
            found.append(f"{place}:{node.lineno}: {name}")
        if last in BUILDING and place not in BUILDERS:
            found.append(f"{place}:{node.lineno}: {name} builds what a configuration names")
        allow = given(node, "allow_pickle")
        if allow is not None and not is_constant(allow, False):
            found.append(f"{place}:{node.lineno}: {name} with allow_pickle")
        if given(node, "shell") is not None:
            found.append(f"{place}:{node.lineno}: {name} by a shell")
        from_checkpoint = given(node, "ckpt_path") is not None and last in ("fit", "validate", "test", "predict")
        if from_checkpoint and not is_constant(given(node, "weights_only"), True):
            found.append(f"{place}:{node.lineno}: {name} of a checkpoint without weights_only=True")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_code_from_data(file):
    place = file.relative_to(ROOT / "src" / "dgreid" if "src" in file.parts else ROOT).as_posix()
    assert violations(place, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=not safe)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "pickle.loads(content)",
        "import pickle",
        "from marshal import loads",
        "eval(text)",
        "exec(compile(text, '', 'exec'))",
        "subprocess.run(command, shell=True)",
        "os.system(command)",
        "trainer.fit(module, ckpt_path=path)",
        "ReIDModule.load_from_checkpoint(path)",
        "instantiate(config)",
        "importlib.import_module(name)",
        "torch.hub.load(name)",
        "zipfile.ZipFile(path).extractall(folder)",
        "torch.serialization.add_safe_globals([os.system])",
        "OmegaConf.register_new_resolver('run', os.system)",
    ],
)
def test_the_rules_notice(source):
    assert violations("new/file.py", source)
