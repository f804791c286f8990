import argparse
import dataclasses
import hashlib
import json
import random

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50 as torchvision_resnet50

from dgreid.errors import InputError
from dgreid.nets.names import reference_name
from dgreid.nets.resnet import resnet50, resnet50_ibn_a
from dgreid.nets.small import small
from dgreid.nets.weights import read_state_dict
from dgreid.nets.weights_report import load_matching

STATISTICS = ("running_mean", "running_var")


def randomised(state):
    """Tensors that no initialisation gives, so that copied and left ones can be told apart."""
    return {name: torch.rand_like(v) + 0.5 if v.is_floating_point() else v + 7 for name, v in state.items()}


@pytest.fixture(scope="module")
def imagenet():
    """What torchvision's file holds: no batch counts, a classifier."""
    state = torchvision_resnet50(weights=None).state_dict()
    return randomised({name: v for name, v in state.items() if not name.endswith("num_batches_tracked")})


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("weights", "file"),
    [
        ("imagenet_v1", "resnet50-0676ba61.pth"),
        ("imagenet_v1", "resnet50-19c8e357.pth"),
        ("imagenet_v2", "resnet50-11ad3fa6.pth"),
    ],
)
def test_published_weights_are_found_in_torch_home(checkpoints, imagenet, weights, file):
    torch.save(imagenet, checkpoints / file)
    net = resnet50(weights=weights)
    state = net.state_dict()
    for name, tensor in imagenet.items():
        if not name.startswith("fc."):
            assert torch.equal(state[f"backbone.{name}"], tensor), name
    report = net.weights_report
    assert (report.source, report.file) == (weights, str(checkpoints / file))
    assert report.sha256 == hashlib.sha256((checkpoints / file).read_bytes()).hexdigest()
    assert len(report.matched) == 265
    assert report.unexpected == ("backbone.fc.weight", "backbone.fc.bias")
    assert set(report.missing) == {f"neck.{name}" for name in ("weight", "bias", *STATISTICS)}
    assert report.mismatched == ()
    assert "265 matched" in report.line()
    assert "\n" not in report.line()
    assert "not the published file" in report.details()
    json.dumps(dataclasses.asdict(report))


@pytest.mark.parametrize(
    ("weights", "file"), [("imagenet_v1", "resnet50-0676ba61.pth"), ("imagenet_v2", "resnet50-11ad3fa6.pth")]
)
def test_missing_published_weights_are_an_error_that_says_where_to_get_them(checkpoints, weights, file):
    with pytest.raises(InputError, match=f"{file}.* in {checkpoints}.*https://download.pytorch.org/models/{file}"):
        resnet50(weights=weights)


def test_a_missing_file_and_a_mistyped_name_are_errors(tmp_path):
    with pytest.raises(InputError, match=f"no such file .{tmp_path}/absent.pth"):
        resnet50(weights=str(tmp_path / "absent.pth"))
    with pytest.raises(InputError, match="did you mean 'imagenet_v1'"):
        resnet50(weights="imagenet_1")
    with pytest.raises(InputError, match=r"weights=imagenet_v1: no such file .* known: random"):
        small(weights="imagenet_v1")


def test_statistics_stay_at_0_and_1_if_they_are_not_wanted(checkpoints, imagenet):
    torch.save(imagenet, checkpoints / "resnet50-0676ba61.pth")
    net = resnet50(load_bn_statistics=False)
    state = net.state_dict()
    means = [v for name, v in state.items() if name.endswith("running_mean")]
    variances = [v for name, v in state.items() if name.endswith("running_var")]
    assert len(means) == len(variances) == 54
    assert all((v == 0).all() for v in means)
    assert all((v == 1).all() for v in variances)
    assert torch.equal(state["backbone.bn1.weight"], imagenet["bn1.weight"])
    assert {name for name in state if name.endswith(STATISTICS)} <= set(net.weights_report.kept)


def test_plain_weights_leave_the_split_norms_of_ibn_a_alone(checkpoints, imagenet):
    torch.save(imagenet, checkpoints / "resnet50-0676ba61.pth")
    net = resnet50_ibn_a()
    state, report = net.state_dict(), net.weights_report
    split = [name for name in state if ".bn1.IN." in name or ".bn1.BN." in name]
    assert len(split) == 13 * 7
    for name in split:
        assert (state[name] == (1 if name.endswith(("weight", "running_var")) else 0)).all(), name
    assert set(split) <= set(report.kept)
    assert torch.equal(state["backbone.layer1.0.bn2.weight"], imagenet["layer1.0.bn2.weight"])
    assert len([n for n in report.unexpected if ".bn1." in n]) == 13 * 4
    assert "the IBN-a norms start at scale 1, shift 0" in report.details()


def test_ibn_net_s_own_file_fills_the_split_norms(tmp_path):
    source = randomised(resnet50_ibn_a(weights="random").state_dict())
    theirs = {reference_name(n, "module.", ""): v for n, v in source.items() if n.startswith("backbone.")}
    path = tmp_path / "resnet50_ibn_a-d9d0bb7b.pth"
    torch.save(theirs | {"module.fc.weight": torch.zeros(1000, 2048)}, path)
    net = resnet50_ibn_a(weights=str(path))
    state = net.state_dict()
    assert all(torch.equal(state[name], value) for name, value in source.items() if name.startswith("backbone."))
    assert net.weights_report.unexpected == ("backbone.fc.weight",)
    with pytest.raises(InputError, match=r"tensors are in .* with the right shape \(90% must be\)"):
        resnet50(weights=str(path))


@pytest.mark.parametrize("prefix", ["base.", "module.base.", "module."])
def test_a_checkpoint_of_a_release_loads_with_its_neck(tmp_path, prefix):
    source = randomised(resnet50(weights="random").state_dict())
    theirs = {reference_name(name, prefix, "module.feat_bn."): value for name, value in source.items()}
    path = tmp_path / "model_best.pth.tar"
    torch.save({"state_dict": theirs, "epoch": 3, "best_mAP": np.float64(0.5)}, path)
    net = resnet50(weights=str(path))
    assert all(torch.equal(value, source[name]) for name, value in net.state_dict().items())


def test_numpy_scalars_of_old_files_are_read(tmp_path):
    path = tmp_path / "old.pth"
    torch.save(
        {"state_dict": {"a": torch.ones(2)}, "best_mAP": np.float64(0.5)}, path, _use_new_zipfile_serialization=False
    )
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert torch.equal(read_state_dict(path)["a"], torch.ones(2))


def test_safetensors_of_this_project(tmp_path):
    source = randomised(small(width=4).state_dict())
    save_file(source, tmp_path / "net.safetensors")
    net = small(weights=str(tmp_path / "net.safetensors"), width=4)
    assert all(torch.equal(value, source[name]) for name, value in net.state_dict().items())
    with pytest.raises(InputError, match="Choose the net these weights were made for"):
        small(weights=str(tmp_path / "net.safetensors"), width=8)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.pth", b"<!DOCTYPE html><html></html>"),
        ("page.safetensors", b"<!DOCTYPE html><html></html>"),
        ("empty.pth", b""),
        ("empty.safetensors", b""),
    ],
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} (is no weights file|cannot be read as weights)"):
        small(weights=str(tmp_path / name))


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "cut.pth"
    torch.save(small(width=4).state_dict(), path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.pth cannot be read as weights; it may be cut short"):
        small(weights=str(path), width=4)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of the unpickler, on bytes it does not know
def test_any_damage_is_one_kind_of_error(tmp_path):
    path = tmp_path / "damaged.pth"
    torch.save(small(width=1).state_dict(), path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[draw.randrange(12_000)] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            read_state_dict(path)
        except InputError as error:
            assert "damaged.pth" in str(error)  # noqa: PT017 - some damage hits only a weight, and reads


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.ones(2)], torch.ones(2), {"state_dict": None}])
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd\.pth holds no tensors by name"):
        small(weights=str(tmp_path / "odd.pth"))


def test_a_file_with_code_in_it_is_refused(tmp_path):
    torch.save({"state_dict": {}, "args": argparse.Namespace(lr=1)}, tmp_path / "code.pth")
    with pytest.raises(InputError, match="Python objects besides tensors"):
        small(weights=str(tmp_path / "code.pth"))


def test_load_matching_takes_what_fits_and_reports_the_rest():
    net, before = small(width=4), small(width=4)
    before.load_state_dict(net.state_dict())
    source = randomised(net.state_dict())
    source["neck.weight"] = torch.ones(5)
    source["strategy.rows"] = torch.ones(2, 2)
    del source["backbone.conv1.weight"]
    report = load_matching(net, source, source="a run", keep={"backbone.bn1.bias"})
    assert report.mismatched == ("neck.weight",)
    assert report.missing == ("backbone.conv1.weight",)
    assert report.unexpected == ("strategy.rows",)
    assert report.kept == ("backbone.bn1.bias",)
    assert set(report.matched) == set(net.state_dict()) - {*report.mismatched, *report.missing, *report.kept}
    for name, value in net.state_dict().items():
        assert torch.equal(value, source[name] if name in report.matched else before.state_dict()[name]), name
    groups = "1 kept, 1 missing, 1 unexpected, 1 mismatched"
    assert report.line() == f"weights a run: {len(report.matched)} matched, {groups}"
    assert "  mismatched:\n    neck.weight" in report.details()
