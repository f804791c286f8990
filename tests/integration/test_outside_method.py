"""A method in a folder of its own, as docs/your_method.md writes it, trains, continues, is evaluated and is checked."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import torch
from documents import ROOT, code_blocks
from interrupted_runs import assert_same_run, checkpoint
from small_runs import SMALL, composed, typed

import dgreid
from dgreid.run.evaluating import evaluate
from dgreid.run.training import train
from dgreid.testing import check_strategy

PAGE = "docs/your_method.md"
TRUST = "trust=[my_package]"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The folder that the page describes; its package can be imported."""
    folder = tmp_path_factory.mktemp("my_work")
    text = (ROOT / PAGE).read_text(encoding="utf-8").partition("## The shortest method")[0]
    files = re.findall(r"^`([\w/.]+)`[^\n]*:\n\n```\w+\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    names = ["my_package/averaged_fb.py", "conf/strategy/averaged_fb.yaml", "my_work/test_averaged_fb.py"]
    assert [name for name, _ in files] == names
    for name, content in files:
        path = folder / name.removeprefix("my_work/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "my_package" / "__init__.py").touch()
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


def small_run(work, data_root, folder, *overrides):
    search = f"hydra.searchpath=[file://{work}/conf]"
    train(
        composed(typed(data_root, search, "strategy=averaged_fb", "strategy.start=1", f"folder={folder}", *overrides))
    )
    return folder


def said(work, command, *words):
    """What a command of the page prints, started in the folder, with further words."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:], *words], cwd=work, capture_output=True, text=True, timeout=300,
        env={**environment, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_commands_of_the_page(work, data_root):
    (commands,) = code_blocks(PAGE, "bash", "Train, continue, evaluate")
    first, again, evaluation = commands.strip().splitlines()
    small = [word for word in (*SMALL, f"data_root={data_root}", "strategy.start=1") if "epochs" not in word]
    small += ["epochs=1", "steps_per_epoch=2"]
    assert "results:" in said(work, first, *small)
    (result,) = (work / "runs").glob("**/result.json")
    before = result.stat().st_mtime_ns
    assert result.parent.name in said(work, again, *small)
    assert result.stat().st_mtime_ns == before
    named = next(word for word in evaluation.split() if word.startswith("run="))
    assert result.parent.parent.name == "averaged_fb"
    assert result.parents[2].name in named
    evaluation = evaluation.replace(named, f"run='{result.parent}'")
    assert "synthetic_night" in said(work, evaluation, f"data_root={data_root}", "accelerator=cpu")


@pytest.fixture(scope="module")
def whole(work, data_root, tmp_path_factory):
    torch.set_num_threads(1)  # as within a test, which begins later than this
    return small_run(work, data_root, tmp_path_factory.mktemp("whole") / "run", "epochs=2", "steps_per_epoch=3")


def test_an_interrupted_run_is_continued_to_the_same_bits(work, data_root, tmp_path, whole):
    rules = ("epochs=2", "steps_per_epoch=3")
    small_run(work, data_root, tmp_path / "run", *rules, "trainer.max_steps=3")
    assert checkpoint(tmp_path / "run")["global_step"] == 3
    small_run(work, data_root, tmp_path / "run", *rules, "resume=auto")
    assert_same_run(tmp_path / "run", whole, 6)


def test_the_mean_is_what_is_evaluated(whole):
    run = dgreid.load_run(whole, trust=["my_package"])
    mean, last = run.module.strategy.average.state_dict(), run.module.net.state_dict()
    assert (mean["backbone.conv1.weight"] - last["backbone.conv1.weight"]).abs().max() > 1e-6
    images = torch.randn(3, 3, 64, 32)
    assert torch.equal(run.inference_net(images), run.module.strategy.average(images).embedding)


def test_the_mean_is_that_of_the_weights_after_each_step(work):
    from my_package.averaged_fb import AveragedFB

    from dgreid.testing.problem import Problem
    from dgreid.testing.training import Training

    training = Training(Problem(lambda: AveragedFB(start=2))).start()
    seen = []
    for step in range(5):
        training.step(step)
        seen.append({name: value.clone() for name, value in training.net.state_dict().items()})
        counted = seen[2:] or seen[-1:]
        for name, mean in training.strategy.average.state_dict().items():
            expected = torch.stack([one[name] for one in counted]).mean(0) if mean.dim() else counted[-1][name]
            torch.testing.assert_close(mean, expected, rtol=1e-12, atol=1e-12)


def test_trust_stands_for_the_folder_and_without_either_nothing_is_imported(work, data_root, whole):
    words = [f"run={whole}", f"data_root={data_root}", "accelerator=cpu"]
    with pytest.raises(dgreid.InputError, match=r"my_package\.averaged_fb\.AveragedFB names code that is not dgreid's"):
        evaluate(composed(words, "evaluate"))
    evaluate(composed([*words, TRUST], "evaluate"))
    evaluate(composed([*words, f"hydra.searchpath=[file://{work}/conf]"], "evaluate"))
    rows = json.loads((whole / "result.json").read_text())["rows"]
    assert 0 < rows[0]["mAP"] <= 1


def test_it_keeps_the_contract(work):
    (test,) = code_blocks(PAGE, "python", "Does it keep the contract?")
    assert 'check_strategy("conf/strategy/averaged_fb.yaml", overrides=["strategy.start=1"])' in test
    outcomes = check_strategy(work / "conf/strategy/averaged_fb.yaml", overrides=["strategy.start=1"])
    listed = re.findall(r"^\| `(\w+)` \| ", (ROOT / PAGE).read_text().partition("| check |")[2], flags=re.MULTILINE)
    assert [outcome.check for outcome in outcomes] == listed


def test_a_data_set_beside_it_joins_the_catalogue(tmp_path):
    (tmp_path / "domain").mkdir()
    text = (ROOT / "conf" / "domain" / "folder.yaml").read_text()
    (tmp_path / "domain" / "mine.yaml").write_text(text.replace("\nfolder:", "\nmine:"))
    words = [f"hydra.searchpath=[file://{tmp_path}]", "sources=[mine]", "target=market1501", "domain=[catalogue,mine]"]
    assert "'domain=[catalogue,mine]'" in (ROOT / PAGE).read_text()
    assert {"mine", "folder", "market1501"} <= set(composed(words).domain)


def test_the_method_is_about_forty_lines():
    code, *_ = code_blocks(PAGE, "python")
    assert 35 <= len(code.splitlines()) <= 48
