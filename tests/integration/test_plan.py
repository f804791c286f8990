"""``plan=true``: trains what training would, says what it takes, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_runs import CELL, SMALL, composed, strategies, train_small, typed

from dgreid.errors import InputError
from dgreid.run import planning
from dgreid.run.build import build_data, build_domains
from dgreid.run.compose import readable
from dgreid.run.training import train
from dgreid.strategies.fb import FB

LABELS = [
    "method", "domains", "images a step", "parameters", "peak memory", "seconds a step", "whole run",
    "not in the hours",
]  # fmt: skip


def parsed(output: str) -> tuple[dict[str, str], list[str]]:
    """Rows by label, and pieces of advice; long lines must not have been broken."""
    rows, _, advice = output.partition("\n\nwhat would lower memory or time:\n")
    lines = {line[:18].strip(): line[18:] for line in rows.splitlines()}
    return lines, [line.removeprefix("  - ") for line in advice.splitlines()]


@pytest.fixture
def planned(data_root, tmp_path, monkeypatch, capsys):
    """Makes a small plan in an empty folder, which must stay empty; gives rows and advice."""
    monkeypatch.setenv("COLUMNS", "300")
    work = tmp_path / "work"
    work.mkdir()

    def make(*overrides):
        monkeypatch.chdir(work)
        config = composed(typed(data_root, "plan=true", *overrides))
        capsys.readouterr()
        train(config)
        assert list(work.iterdir()) == []
        return parsed(capsys.readouterr().out)

    config = composed(typed(data_root))
    build_data(config, build_domains(config, "sources"), build_domains(config, "target")).setup("fit")  # draws them
    return make


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


@pytest.mark.parametrize("strategy", strategies())
def test_every_strategy(strategy, planned):
    rows, advice = planned(f"strategy={strategy}", "epochs=3000", "steps_per_epoch=200")
    assert list(rows) == LABELS
    assert rows["method"].endswith(" in 32-true")
    assert rows["domains"] == "synthetic_plaza, synthetic_campus"
    assert rows["images a step"] == "2 x 3 identities x 2 images = 12"
    assert re.match(r"(at most )?[\d.]+ [MG]iB ", rows["peak memory"])
    assert re.fullmatch(
        r"[\d.]+, mean of steps 2 and 3; step 1 warmed up in [\d.]+; \d+ % waits for data", rows["seconds a step"]
    )
    seconds, hours = numbers(rows["seconds a step"])[0], numbers(rows["whole run"])[0]
    assert hours == pytest.approx(seconds * 3000 * 200 / 3600, rel=0.02)  # three digits of each
    assert rows["whole run"].endswith(" hours for 3000 x 200 steps (epochs x steps_per_epoch)")
    assert rows["not in the hours"].endswith(" evaluation of 24 images at the end, not measured")
    for sentence in advice:
        assert re.match(r"[\w.]+=\S+( [\w.]+=\S+)*: .", sentence)


@pytest.mark.parametrize("strategy", strategies())
def test_the_options_advised_are_options(strategy, planned, data_root):
    _, advice = planned(f"strategy={strategy}")
    for sentence in advice:
        composed(typed(data_root, f"strategy={strategy}", *sentence.partition(":")[0].split()))


@pytest.mark.parametrize("strategy", strategies())
def test_the_three_steps_are_those_of_training(strategy, planned, data_root, tmp_path, monkeypatch):
    kept, build = [], planning.build_module

    def build_and_keep(*args):
        kept.append(build(*args))
        return kept[0]

    monkeypatch.setattr(planning, "build_module", build_and_keep)
    overrides = (f"strategy={strategy}", "seed=1", "trainer.gradient_clip_val=2")
    planned(*overrides)
    (module,) = kept
    folder = train_small(data_root, tmp_path / "run", *overrides, "trainer.max_steps=3")
    trained = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    state = module.state_dict()
    assert state.keys() == trained.keys()
    for name, value in state.items():
        assert torch.equal(value, trained[name]), name


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files, when they were written last, and what is in them."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def test_a_finished_run_stays_as_it_is(planned, data_root, tmp_path):
    runs = tmp_path / "runs"
    train(composed(typed(data_root, f"runs={runs}")))
    before = tree(runs)
    assert any(name.endswith("result.json") for name in before)
    planned(f"runs={runs}")
    assert tree(runs) == before


def test_an_own_folder_that_holds_other_things_stays_as_it_is(planned, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    before = tree(tmp_path / "mine")
    planned(f"folder={tmp_path / 'mine'}")
    assert tree(tmp_path / "mine") == before


def test_the_typed_value_does_not_change_which_run_it_is(data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", "plan=false", "trainer.max_steps=2")
    with pytest.raises(InputError, match="holds a finished run"):
        train_small(data_root, folder, "trainer.max_steps=2", "resume=true")


@pytest.mark.parametrize("logger", ["wandb", "tensorboard", "csv", "none"])
def test_no_logger_hears_of_it(logger, planned, monkeypatch):
    for name in ("with_wandb", "with_tensorboard", "csv_only", "nothing"):
        monkeypatch.setattr(f"dgreid.loggers.{name}", lambda **_: pytest.fail("a plan has no logger"))
    planned(f"logger={logger}")


def test_evaluations_are_counted(planned):
    rows, _ = planned("evaluate_every=2", "holdout=0.4", "epochs=7", "data.identities_per_batch=2")
    # Of the 24 test images and, for each source, those of 3 of 8 identities.
    found = re.fullmatch(
        r"[\d.]+ seconds before step 1; 3 x evaluation of (\d+) images \(evaluate_every=2\), and of 24 for each "
        r"selection rule at the end, not measured",
        rows["not in the hours"],
    )
    assert found
    assert int(found[1]) > 24


def test_a_run_cut_short(planned):
    rows, _ = planned("trainer.max_steps=7", "epochs=5")
    seconds, hours = numbers(rows["seconds a step"])[0], numbers(rows["whole run"])[0]
    assert hours == pytest.approx(seconds * 7 / 3600, rel=0.02)
    assert rows["whole run"].endswith("hours for 5 x 2 steps (epochs x steps_per_epoch), cut to 7 by trainer.max_steps")


def test_a_run_shorter_than_three_steps(planned):
    rows, _ = planned("epochs=1", "steps_per_epoch=1")
    seconds, hours = numbers(rows["seconds a step"])[0], numbers(rows["whole run"])[0]
    assert hours == pytest.approx(seconds / 3600, rel=0.02)


def test_what_a_strategy_does_after_the_update_belongs_to_the_step(planned, monkeypatch):
    monkeypatch.setattr(FB, "after_step", lambda *_: time.sleep(0.6))
    rows, advice = planned()
    seconds, *_, waiting = numbers(rows["seconds a step"])
    assert seconds >= 0.6
    assert waiting < 50, "the sleep is no waiting for data"
    assert not any(sentence.startswith("data.workers") for sentence in advice)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_is_that_of_the_steps(planned, monkeypatch):
    step = FB.loss

    def loss_with_300_mebibytes(self, *args):
        torch.ones(300 * 2**18)
        return step(self, *args)

    monkeypatch.setattr(FB, "loss", loss_with_300_mebibytes)
    rows, _ = planned()
    found = re.match(r"(\d+) MiB above the ", rows["peak memory"])
    assert found
    assert 290 <= int(found[1]) <= 400


def message(data_root, *overrides) -> str:
    """What the user reads."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, `readable` says
        train(composed(typed(data_root, *overrides)))
    text = readable(caught.value)
    assert text is not None, repr(caught.value)
    return text


def test_out_of_memory_says_what_would_help(data_root, monkeypatch):
    def loss(self, net, batches, clock):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(FB, "loss", loss)
    monkeypatch.setattr(FB, "savings", lambda _: ("strategy.small=true: fits",))
    text = message(data_root, "plan=true", "data.identities_per_batch=4")
    assert text.startswith("out of memory in step 1: ")
    assert text.splitlines()[0].endswith("What would lower memory or time:")
    assert [line.partition(":")[0] for line in text.splitlines()[1:]] == [
        "  - strategy.small=true", "  - data.identities_per_batch=2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "overrides",
    [
        ["sources=[market1501]", "data_root=/nowhere/at/all"],
        ["sources=[market1501,msmt17v1]"],
        ["target=synthetic_plaza"],
        ["data.identities_per_batch=9"],
        ["net.weights=/nowhere/weights.pth"],
        ["epochs=0"],
    ],
    ids=",".join,
)
def test_what_training_refuses_a_plan_refuses_alike(overrides, data_root, tmp_path):
    folder = f"folder={tmp_path / 'run'}"
    planned, trained = (message(data_root, folder, f"plan={value}", *overrides) for value in ("true", "false"))
    assert planned == trained


def test_a_plan_continues_nothing(data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "run", "trainer.max_steps=2")
    before = tree(folder)
    text = message(data_root, f"folder={folder}", "plan=true", "resume=true")
    assert "plan=true with resume=true" in text
    assert tree(folder) == before


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dgreid.train", *words],
        check=False, cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"},
    )  # fmt: skip


def test_the_command_says_nothing_else(planned, data_root, tmp_path):
    done = command(tmp_path, *SMALL, *CELL, f"data_root={data_root}", "plan=true")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "plan: 3 training steps on CPU, nothing is kept\n"
    rows, advice = parsed(done.stdout)
    assert list(rows) == LABELS
    assert not (tmp_path / "runs").exists()
    assert all(sentence.count(": ") >= 1 for sentence in advice)


def test_a_sweep_of_plans(planned, data_root, tmp_path):
    words = ("plan=true", "strategy=fb,softmax_triplet")
    done = command(tmp_path, "-m", *SMALL, *CELL, f"data_root={data_root}", *words)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"method +(\w+) in", done.stdout) == ["FB", "SoftmaxTriplet"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [".sweeps"], "notes of the sweep, and no run"
    assert "sweep of 2 runs: 2 done" in done.stdout


@pytest.mark.slow
def test_of_two_processes_one_speaks(planned, data_root, tmp_path):
    words = ("plan=true", "strategy=fb", "trainer.devices=2", "data.identities_per_batch=4")
    small = [word for word in SMALL if not word.startswith("data.identities_per_batch")]
    done = command(tmp_path, *small, *CELL, f"data_root={data_root}", *words)
    assert done.returncode == 0, done.stderr
    rows, _ = parsed(done.stdout)
    assert list(rows) == LABELS
    assert rows["images a step"] == "2 x 4 identities x 2 images = 16"
    assert done.stderr.count("plan: 3 training steps") == 1
    assert not (tmp_path / "runs").exists()


def test_the_protocol_and_what_deviates_from_it_come_first(data_root, tmp_path):
    """By the command, since only there a protocol is chosen; 64x32 images are not those of the protocol."""
    words = [*typed(data_root, "protocol=synthetic/to_night", "plan=true"), "steps_per_epoch=2"]
    done = subprocess.run(
        [sys.executable, "-m", "dgreid.train", *words], cwd=tmp_path, env={**os.environ, "COLUMNS": "300"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows, _ = parsed(done.stdout)
    assert list(rows)[:2] == ["protocol", "variant"]
    assert rows["protocol"] == "synthetic/to_night"
    assert "synthetic" in rows["variant"]
