"""``evaluate.py`` on files with the structure of the releases, without any run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import release_files
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from small_runs import composed, train_small
from torch import nn

from dgreid.evaluation.labels import Labels
from dgreid.evaluation.ranking import evaluate_embeddings
from dgreid.nets.small import small
from dgreid.run.build import build_domains
from dgreid.run.compose import readable
from dgreid.run.evaluating import evaluate
from dgreid.run.released import as_for_a_file, load_released, said_by_the_file

CROPS = ("data=small", "data.height=64", "data.width=32", "synthetic=tiny", "accelerator=cpu")
TARGET = "target=synthetic_night"


def evaluate_file(path, data_root, folder, *overrides):
    """The command on a file; returns the results it wrote."""
    words = {o.partition("=")[0]: o for o in (*CROPS, TARGET, *overrides)}.values()
    evaluate(composed([f"checkpoint='{path}'", f"data_root={data_root}", f"runs={folder}", *words], "evaluate"))
    return [(p.parent, json.loads(p.read_text(encoding="utf-8"))) for p in folder.rglob("result.json")]


def refusal(path, data_root, folder, *overrides) -> str:
    """The message of an evaluation that must leave nothing behind."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, `readable` says
        evaluate_file(path, data_root, folder, *overrides)
    text = readable(caught.value)
    assert text is not None, repr(caught.value)
    assert not folder.exists()
    return text


def loaded(path, *overrides):
    words = [*CROPS, TARGET, f"checkpoint='{path}'", *overrides]
    config = as_for_a_file(composed(words, "evaluate"))
    return load_released(Path(path), config, {word.partition("=")[0] for word in words})


@pytest.fixture(scope="module")
def backbone():
    return release_files.trunk()


@pytest.fixture(scope="module")
def neck():
    return release_files.neck()


def slow_result(state, neck, stem_relu, data_root):
    """Metrics from torchvision's net in float64 and images read one by one, without this project's nets and loading."""
    net = release_files.torchvision_net(stem_relu).double()
    net.load_state_dict(state)
    neck = {name: value.double() for name, value in neck.items()}
    config = composed([TARGET, *CROPS, f"data_root={data_root}"], "evaluate")
    (domain,) = build_domains(config, "target").values()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def embed(records):
        rows = []
        for record in records:
            crop = Image.open(record.path).convert("RGB").resize((32, 64), Image.Resampling.BICUBIC)
            image = (torch.from_numpy(np.array(crop)).float() / 255 - mean) / std
            pooled = net(image.permute(2, 0, 1)[None].double())
            normalised = (pooled - neck["running_mean"]) / (neck["running_var"] + 1e-5).sqrt()
            rows.append(F.normalize(normalised * neck["weight"] + neck["bias"], dim=1))
        labels = Labels(*(torch.tensor([getattr(r, key) for r in records]) for key in ("identity", "camera")))
        return torch.cat(rows), labels

    with torch.no_grad():
        (query, query_labels), (gallery, gallery_labels) = (embed(domain.records(s)) for s in ("query", "gallery"))
    return evaluate_embeddings(query, gallery, query_labels, gallery_labels).summary()


def test_an_m3l_file_scores_as_its_net_does(backbone, neck, data_root, tmp_path, capsys):
    path = release_files.save(tmp_path / "market_resMeta.pth.tar", release_files.m3l(backbone, neck))
    # Embeddings of a net that never learned differ by 1e-5, too little for float32 to rank them alike everywhere.
    ((folder, result),) = evaluate_file(path, data_root, tmp_path / "runs", "net=resnet50", "precision=64-true")
    (row,) = result["rows"]
    expected, other = (slow_result(backbone, neck, stem_relu, data_root) for stem_relu in (False, True))
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert abs(expected["mAP"] - other["mAP"]) > 1e-3
    shown = capsys.readouterr().out
    assert "looks like the M3L release (resMeta): no ReLU in the stem; 323 matched, 0 missing, 4 unexpected" in shown
    assert "(feat_bn.meta_*)" in shown
    assert "this file does not say what it was trained on" in shown
    assert "made to be tested on 'market'; other targets may be among what it was trained on" in shown
    sha256 = result["weights"]["sha256"]
    assert folder.parts[-3:-1] == ("evaluations", f"market_resMeta-{sha256[:8]}")
    assert (row["selection"], row["step"], row["domain"]) == (str(path), None, "not known whether seen")
    assert (result["weights"]["looks_like"], result["weights"]["stem_relu"]) == ("the M3L release (resMeta)", False)
    assert (result["weights"]["matched"], result["weights"]["missing"]) == (323, [])
    assert sorted(result["weights"]["unexpected"]) == [f"neck.meta_{k}{d}" for k in ("mean", "var") for d in (1, 2)]
    assert [result["preprocessing"][key] for key in ("height", "width")] == [64, 32]
    for key in ("run", "fingerprint", "sources", "seed", "strategy", "protocol", "use"):
        assert result[key] is None, key
    assert {p.name for p in folder.iterdir()} == {"result.json", "queries.csv", "pictures"}


def assert_close(found, expected):
    """Equal but for the rounding of float32 at the size of the largest feature."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_the_stem_is_the_file_s_unless_typed(backbone, neck, tmp_path):
    images = torch.randn(2, 3, 64, 32)
    files = {
        ("m3l", False): release_files.m3l(backbone, neck),
        ("il", False): release_files.il("", backbone, neck),
        ("il_relu", True): release_files.il("base.", backbone, neck),
    }
    with torch.no_grad():
        pooled = {}
        for stem_relu in (True, False):
            net = release_files.torchvision_net(stem_relu)
            net.load_state_dict(backbone)
            pooled[stem_relu] = net(images)
        assert not torch.allclose(pooled[True], pooled[False], rtol=0.1)
        for (name, stem_relu), state in files.items():
            path = release_files.save(tmp_path / f"{name}.pth.tar", state)
            found = loaded(path, "net=resnet50")
            assert found.stem_relu == stem_relu
            assert_close(found.module.net(images).pooled, pooled[stem_relu])
            typed = loaded(path, "net=resnet50", f"net.stem_relu={not stem_relu}")
            assert_close(typed.module.net(images).pooled, pooled[not stem_relu])
            assert "was typed; nets of this release are the opposite" in typed.line
            assert "was typed" not in found.line


def test_ibn_a_loads_every_tensor_and_the_wrong_net_is_told_the_right_one(backbone, neck, data_root, tmp_path):
    split = release_files.split_norms(backbone)
    state = release_files.m3l(split, neck)
    assert len(state) == 353
    path = release_files.save(tmp_path / "duke_IBNMeta.pth.tar", state)
    found = loaded(path, "net=resnet50_ibn_a")
    assert "M3L release (IBNMeta): no ReLU in the stem; 349 matched, 0 missing, 4 unexpected" in found.line
    ours = found.module.net.state_dict()
    assert len(ours) == 349
    for name, value in {
        **{f"backbone.{n}": v for n, v in split.items()},
        **{f"neck.{n}": v for n, v in neck.items()},
    }.items():
        assert torch.equal(ours[name], value), name
    assert "choose net=resnet50_ibn_a" in refusal(path, data_root, tmp_path / "runs", "net=resnet50")
    plain = release_files.save(tmp_path / "plain.pth.tar", release_files.m3l(backbone, neck))
    text = refusal(plain, data_root, tmp_path / "runs", "net=resnet50_ibn_a")
    assert "does not fit net=resnet50_ibn_a" in text
    assert text.endswith("choose net=resnet50")
    assert "choose net=resnet50" in refusal(plain, data_root, tmp_path / "runs", "net=small")


def changed(backbone, neck, how):
    """An M3L state dict with something wrong or odd in it."""
    state = release_files.m3l(backbone, neck)
    if how == "extra":
        state["module.classifier.weight"] = torch.ones(3, 5)
        state["module.epoch_counter"] = torch.ones(())
    elif how == "no counts":
        state = {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")}
    elif how == "no meta":
        state = {n: v for n, v in state.items() if "meta_" not in n}
    elif how == "missing":
        del state["module.base.layer2.1.conv2.weight"]
    elif how == "no neck":
        state = {n: v for n, v in state.items() if "feat_bn" not in n}
    elif how == "shape":
        state["module.feat_bn.weight"] = torch.ones(512)
    elif how == "deeper":
        state["module.base.layer3.6.conv1.weight"] = torch.ones(256, 1024, 1, 1)
    elif how == "two nets":
        state["module.conv1.weight"] = state["module.base.conv1.weight"]
    elif how == "other prefix":
        state = {n.replace("module.base.", ""): v for n, v in state.items()}
    return state


@pytest.mark.parametrize(
    ("how", "part"),
    [
        ("extra", "323 matched, 0 missing, 6 unexpected (feat_bn.meta_*, classifier.weight, epoch_counter)"),
        ("no counts", "269 matched, 0 missing, 4 unexpected"),
        ("no meta", "without the feat_bn.meta_* that files of this release have"),
    ],
)
def test_harmless_differences_are_reported(how, part, backbone, neck, tmp_path):
    path = release_files.save(tmp_path / "w.pth.tar", changed(backbone, neck, how))
    assert part in loaded(path, "net=resnet50").line


@pytest.mark.parametrize(
    ("how", "parts"),
    [
        ("missing", ["1 missing (backbone.layer2.1.conv2.weight)", "give a whole file of this net"]),
        ("no neck", ["4 missing (neck.weight", "needs the neck"]),
        ("shape", ["1 of another shape (neck.weight)"]),
        ("deeper", ["1 not in this net (backbone.layer3.6.conv1.weight)"]),
        ("two nets", ["module.base.conv1.weight and module.conv1.weight would both be", "two nets"]),
        ("other prefix", ["no release known here", "net.stem_relu=true or net.stem_relu=false"]),
    ],
)
def test_files_that_do_not_fit_are_refused(how, parts, backbone, neck, data_root, tmp_path):
    path = release_files.save(tmp_path / "w.pth.tar", changed(backbone, neck, how))
    text = refusal(path, data_root, tmp_path / "runs", "net=resnet50")
    for part in (str(path), *parts):
        assert part in text


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("code", "could run code"),
        ("plain code", "could run code"),
        ("cut", "may be cut short"),
        ("cut, old format", "may be cut short"),
        ("page", "is no weights file"),
        ("numbers", "does not fit net=small: of the tensors 69 missing"),
        ("no entries", "holds no tensors by name"),
        ("nothing by name", "holds no tensors by name"),
        ("a list", "holds no tensors by name"),
    ],
)
def test_junk_is_refused_and_never_run(kind, part, data_root, tmp_path):
    path = release_files.junk(tmp_path, kind)
    text = refusal(path, data_root, tmp_path / "runs", "net=small")
    assert part in text
    assert "junk.pth.tar" in text
    assert not (tmp_path / "ran").exists()
    if kind == "code":
        torch.load(path, weights_only=False)
        assert (tmp_path / "ran").exists(), "the file is no trap"


def test_a_checkpoint_of_a_run_scores_as_the_run_does(data_root, tmp_path, capsys):
    run = train_small(data_root, tmp_path / "run", "epochs=1")
    path = run / "checkpoints" / "last.ckpt"
    ((_, result),) = evaluate_file(path, data_root, tmp_path / "runs", "net=small", "net.width=4")
    (row,), (of_the_run,) = result["rows"], json.loads((run / "result.json").read_text())["rows"]
    metrics = set(row) - {"selection", "step", "domain", "target"}
    assert {key: row[key] for key in metrics} == {key: of_the_run[key] for key in metrics}
    assert "a checkpoint of a run of this project" in capsys.readouterr().out
    assert result["weights"]["missing"] == []
    assert result["weights"]["stem_relu"] is None
    assert "choose net=small net.width=4" in refusal(path, data_root, tmp_path / "none", "net=small")


def test_a_file_of_this_project_must_be_told_its_stem(data_root, backbone, neck, tmp_path):
    own = {**{f"backbone.{n}": v for n, v in backbone.items()}, **{f"neck.{n}": v for n, v in neck.items()}}
    torch.save(own, tmp_path / "own.pth")
    text = refusal(tmp_path / "own.pth", data_root, tmp_path / "runs", "net=resnet50")
    assert "weights of this project, which does not tell" in text
    found = loaded(tmp_path / "own.pth", "net=resnet50", "net.stem_relu=false")
    assert isinstance(found.module.net.backbone.relu, nn.Identity)


def test_an_exported_file_says_its_stem_and_its_crops_itself(backbone, neck, tmp_path):
    own = {**{f"backbone.{n}": v for n, v in backbone.items()}, **{f"neck.{n}": v for n, v in neck.items()}}
    path, target = tmp_path / "weights.safetensors", "dgreid.nets.resnet.resnet50"
    metadata = {"net": json.dumps({"_target_": target, "stem_relu": False}), "height": "96", "width": "48"}
    save_file({name: value.contiguous() for name, value in own.items()}, path, metadata=metadata)

    def asked(*words):
        typed = {word.partition("=")[0] for word in words}
        config = composed(["target=market1501", f"checkpoint={path}", "net=resnet50", *words], "evaluate")
        said = said_by_the_file(path, config, typed)
        config = as_for_a_file(config, said)
        return load_released(path, config, typed | said.keys()), (config.data.height, config.data.width)

    found, crops = asked()
    assert (found.stem_relu, crops) == (False, (96, 48))
    assert isinstance(found.module.net.backbone.relu, nn.Identity)
    found, crops = asked("net.stem_relu=true", "data.height=128")
    assert (found.stem_relu, crops) == (True, (128, 48))
    assert asked("data=small")[1] == (128, 64), "crops that were chosen are not the file's"


def test_evaluations_of_two_files_of_one_name_stay_apart(data_root, tmp_path):
    for number in range(2):
        path = tmp_path / f"{number}" / "w.pth"
        path.parent.mkdir()
        torch.save(small(width=4).state_dict(), path)
        kept = dict(evaluate_file(path, data_root, tmp_path / "runs", "net=small", "net.width=4"))
        assert len(kept) == number + 1
    before = {p: (p / "result.json").read_bytes() for p in kept}
    found = evaluate_file(path, data_root, tmp_path / "runs", "net=small", "net.width=4", "target=synthetic_plaza")
    assert len(found) == 3
    assert {p: (p / "result.json").read_bytes() for p in before} == before


def test_a_run_keeps_its_own_crops_and_net(data_root, tmp_path):
    run = train_small(data_root, tmp_path / "run", "epochs=1")
    words = [f"run={run}", f"data_root={data_root}", "accelerator=cpu"]
    evaluate(composed(words, "evaluate"))
    written = json.loads(next((run / "evaluations").rglob("result.json")).read_text())
    assert [written["preprocessing"][key] for key in ("height", "width")] == [64, 32]
    assert [row["mAP"] for row in written["rows"]] == [
        row["mAP"] for row in json.loads((run / "result.json").read_text())["rows"]
    ]
    for wrong in ("data=small", "net=small"):
        with pytest.raises(Exception, match="a run has its own net and preprocessing"):
            evaluate(composed([*words, wrong], "evaluate"))


def test_the_command_line(data_root, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(small(width=4).state_dict(), path)
    words = ["net=small", "net.width=4", *CROPS, TARGET, f"data_root={data_root}", f"runs={tmp_path / 'runs'}"]
    done = subprocess.run(
        [sys.executable, "evaluate.py", f"checkpoint={path}", *words],
        check=False, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in ("looks like weights of this project: 83 matched, 0 missing", "synthetic_night", "w.pth", "results:"):
        assert part in done.stdout
