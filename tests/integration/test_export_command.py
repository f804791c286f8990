"""``python -m dgreid.export`` on a trained run, and the lines of the documents that use what it writes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from small_runs import composed, train_small

from dgreid.data.images import FileCrops
from dgreid.data.transforms import as_tensor, normalise
from dgreid.export.__main__ import export
from dgreid.export.exporting import export_run
from dgreid.run.compose import conf_folder, readable
from dgreid.run.evaluating import evaluate
from dgreid.run.load import load_run

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\s*python -m dgreid\.export (.+)$", DOCUMENT, flags=re.MULTILINE)
COMMANDS += re.findall(r"python -m dgreid\.export (run.+)", (conf_folder() / "export.yaml").read_text(encoding="utf-8"))


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dgreid.export", *words],
        check=False,
        cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
    )  # fmt: skip


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def run(data_root, tmp_path_factory):
    return train_small(data_root, tmp_path_factory.mktemp("export") / "run", "epochs=1")


@pytest.fixture(scope="module")
def weights(run):
    export_run(run, "safetensors")
    return run / "exports" / "selected"


@pytest.fixture(scope="module")
def graph(run):
    export_run(run, "onnx")
    return run / "exports" / "selected.onnx"


@pytest.fixture
def photo(run, data_root, tmp_path, monkeypatch):
    """A folder to work in, with an image ``person.jpg`` of another size than the net's; returns the run's embedding."""
    source = next(path for path in sorted(data_root.rglob("*.png")) if "night" in str(path))
    Image.open(source).resize((50, 90)).save(tmp_path / "person.jpg")
    monkeypatch.chdir(tmp_path)
    pixels = np.stack(FileCrops(64, 32)([tmp_path / "person.jpg"]))
    with torch.no_grad():
        return load_run(run).inference_net(normalise(as_tensor(pixels))).numpy()


def test_the_command_says_what_it_wrote(run):
    done = command(f"run={run}", "format=onnx", "checkpoint=last")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, second, third = done.stdout.splitlines()
    assert first.startswith(f"written:   {run}/exports/last.onnx (ONNX, opset 18; largest difference from the run's")
    assert second.endswith("float32 (N, 3, 64, 32), RGB in [0, 1]; normalised inside")
    assert third.endswith("(N, 32), unit length")


def refusal(*words: str) -> str:
    """The command's message, without a process of its own."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, `readable` says
        export(composed(words, "export"))
    message = readable(caught.value)
    assert message is not None, repr(caught.value)
    return message


def test_errors_are_one_message(run):
    done = command(f"run={run}", "format=tensorflow")
    assert done.returncode == 1
    assert done.stderr == "error: format=tensorflow: did you mean 'safetensors'? known: onnx, safetensors\n"
    assert refusal() == "run is empty: name at least one, e.g. run=runs/demo/.../seed0"
    assert refusal("run=[a,b]") == "run names 2: one at a time, or several by -m run=a,b"
    assert refusal("run=a", "checkpoint=[last,source]").endswith("by -m checkpoint=last,source")
    assert "did you mean 'checkpoint'" in refusal("run=a", "checkpiont=last")


def test_the_documented_lines_embed_an_image(graph, photo, tmp_path):
    shutil.copy(graph, tmp_path)
    (lines,) = (block for block in blocks(DOCUMENT, "python") if "onnxruntime" in block)
    assert len([line for line in lines.splitlines() if line]) <= 10
    pasted: dict[str, np.ndarray] = {}
    exec(lines, pasted)
    assert np.abs(pasted["embedding"] - photo).max() < 1e-5


def test_images_that_are_normalised_before_are_embedded_elsewhere(graph, photo, tmp_path):
    """The mistake that the metadata warn of would show."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph))
    pixels = as_tensor(np.stack(FileCrops(64, 32)([tmp_path / "person.jpg"])))
    (twice,) = session.run(None, {"images": normalise(pixels).numpy()})
    assert np.abs(twice - photo).max() > 1e-2
    with pytest.raises(Exception, match=r"Unexpected input data type.*uint8"):
        session.run(None, {"images": pixels.contiguous().numpy()})


def test_the_five_lines_of_the_card_embed_an_image(weights, photo):
    (lines,) = blocks((weights / "model_card.md").read_text(encoding="utf-8"), "python")
    assert len(lines.splitlines()) == 5
    pasted: dict[str, torch.Tensor] = {}
    exec(lines.replace("<this folder>", str(weights)), pasted)
    assert np.abs(pasted["embedding"].numpy() - photo).max() < 1e-5


def test_the_card_has_the_numbers_of_the_result(run, weights):
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    card = (weights / "model_card.md").read_text(encoding="utf-8")
    assert f"value: {result['rows'][0]['mAP']}\n" in card
    for source in result["sources"]:
        assert source["list_hash"] in card
    assert str(run) not in card


def test_the_card_s_command_gives_the_run_s_numbers(run, weights, data_root, tmp_path):
    card = (weights / "model_card.md").read_text(encoding="utf-8")
    typed = blocks(card, "bash")[0].replace("\\\n", " ").replace("<name>", "synthetic_night")
    words = shlex.split(typed)[3:]  # python -m dgreid.evaluate
    words[0] = words[0].replace("checkpoint=", f"checkpoint={weights}/")
    evaluate(
        composed(
            [*words, "synthetic=tiny", f"data_root={data_root}", f"runs={tmp_path}", "accelerator=cpu"], "evaluate"
        )
    )
    (path,) = tmp_path.rglob("result.json")
    found = json.loads(path.read_text(encoding="utf-8"))["rows"][0]
    (wanted,) = json.loads((run / "result.json").read_text(encoding="utf-8"))["rows"]
    assert found["mAP"] == pytest.approx(wanted["mAP"], abs=1e-9)
    assert found["rank1"] == wanted["rank1"]


def test_an_exported_file_is_evaluated_as_it_says_itself(run, weights, data_root, tmp_path, capsys):
    words = ["net=small", "target=synthetic_night", "synthetic=tiny", f"data_root={data_root}", "accelerator=cpu"]
    evaluate(composed([f"checkpoint={weights}/weights.safetensors", *words, f"runs={tmp_path}"], "evaluate"))
    assert "as the file says: net.width=4, data.height=64, data.width=32" in capsys.readouterr().out
    (path,) = tmp_path.rglob("result.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    (wanted,) = json.loads((run / "result.json").read_text(encoding="utf-8"))["rows"]
    assert result["rows"][0]["mAP"] == pytest.approx(wanted["mAP"], abs=1e-9)
    assert (result["preprocessing"]["height"], result["preprocessing"]["width"]) == (64, 32)


def test_exported_weights_start_another_run(weights, data_root, tmp_path):
    folder = train_small(data_root, tmp_path / "second", "epochs=1", f"init={weights}/weights.safetensors")
    first, second = load_run(weights.parents[1]).module.net, load_run(folder, "initial").module.net
    for name, value in first.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, second.state_dict()[name]), name


def test_there_are_documented_commands():
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("words", COMMANDS)
def test_documented_commands_compose(words):
    overrides = shlex.split(re.sub(r"\s+#.*$", "", words))
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        assert compose("export", overrides=overrides).format in ("onnx", "safetensors")
