"""What may be asked of ``evaluate.py`` without a run, and what its folders and facts are called."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf

from dgreid.errors import InputError
from dgreid.nets.small import small
from dgreid.nets.weights_report import WeightsReport
from dgreid.run.released import NoTraining, as_for_a_file, check_request, load_released, output_folder
from dgreid.types import Clock

NET = {"_target_": "dgreid.nets.small.small", "weights": "imagenet_v1", "width": 4}


def request(**values):
    defaults = {"run": None, "net": NET, "checkpoint": __file__, "target": "market1501"}
    return OmegaConf.create({**defaults, **values})


def test_a_run_or_a_file_with_net_and_target_may_be_asked_for():
    check_request(request(), {"net", "checkpoint", "target", "data", "data.height", "data.width", "batch_size"})
    check_request(request(run="runs/demo", net=None, target=None, checkpoint="last"), {"run", "checkpoint"})


@pytest.mark.parametrize(
    ("values", "typed", "parts"),
    [
        ({"net": None}, set(), ["run is empty", "run=<folder", "checkpoint=<file> net=resnet50 target="]),
        ({"net": None, "checkpoint": "selected"}, set(), ["run is empty"]),
        ({"run": "runs/demo"}, {"run", "net"}, ["run=runs/demo with net", "its own net", "leave run out"]),
        ({"run": "r", "net": None}, {"data.height", "data"}, ["run=r with data, data.height", "preprocessing"]),
        ({"checkpoint": "selected"}, {"net"}, ["checkpoint=selected is a checkpoint of a run", "<file of weights>"]),
        ({"checkpoint": "initial"}, {"net"}, ["checkpoint=initial is a checkpoint of a run"]),
        ({"checkpoint": ["a", "b"]}, {"net"}, ["names 2 files", "-m checkpoint=a,b"]),
        ({"checkpoint": "/nowhere/w.pth"}, {"net"}, ["checkpoint=/nowhere/w.pth", "no such file"]),
        ({"checkpoint": "/tmp"}, {"net"}, ["checkpoint=/tmp", "no such file"]),
        ({"target": None}, {"net"}, ["target is empty", "target=market1501"]),
        ({}, {"net.weights", "data.workers"}, ["net.weights, data.workers", "without effect", "workers="]),
        ({}, {"allow_seen_target"}, ["allow_seen_target", "without effect"]),
    ],
)
def test_what_does_not_go_together_is_refused(values, typed, parts):
    with pytest.raises(InputError) as caught:
        check_request(request(**values), typed)
    for part in parts:
        assert part in str(caught.value)


def test_weights_need_no_file_of_imagenet():
    config = request(data={"workers": 2, "cache": "disk", "test_batch_size": 128}, workers=1, batch_size=7)
    OmegaConf.set_struct(config, True)
    taken = as_for_a_file(config)
    assert taken.net.weights == "random"
    assert taken.data == {"workers": 1, "cache": "none", "test_batch_size": 7}
    assert config.net.weights == "imagenet_v1"
    assert config.data.workers == 2


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("/a/market_resMeta.pth.tar", "market_resMeta-01234567"),
        ("/a/b/model v1.2.ckpt", "model.v1.2-01234567"),
        (".pth", "pth-01234567"),
        ("+++.pth", "+++-01234567"),
        ("___.。.pth", "___-01234567"),
        ("noending", "noending-01234567"),
    ],
)
def test_a_file_s_evaluations_have_a_folder_of_its_content(file, folder):
    report = WeightsReport(file, file, "0123456789abcdef")
    found = output_folder(OmegaConf.create({"runs": "runs"}), report, ["a", "b"], "_data-small")
    assert found.as_posix() == f"runs/evaluations/{folder}/a+b_data-small"


def test_a_file_is_not_trained_on():
    with pytest.raises(InputError, match="init="):
        NoTraining().loss(None, {}, Clock(0, 0, 0.1, 0))


@pytest.mark.parametrize(("prefix", "times"), [("net.", 1), ("", 0)])
def test_the_checkpoint_of_a_run_says_that_its_strategy_is_not_asked(prefix, times, tmp_path):
    net = small(width=4)
    torch.save({f"{prefix}{name}": value for name, value in net.state_dict().items()}, tmp_path / "last.ckpt")
    config = OmegaConf.create({"net": {**NET, "weights": "random"}, "init": None, "seed": 0})
    loaded = load_released(tmp_path / "last.ckpt", config, {"net"})
    note = "scored is its net alone; with run=<folder> the strategy's own inference net is used"
    assert loaded.line.count(note) == loaded.report.notes.count(note) == times
