"""``experiment=il`` is IL in its release's training; the three ``*_released`` are what the release computes."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
import torch
from composition import CONF, composed, values
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from dgreid.run.build import build_net
from dgreid.run.guards import check_training
from dgreid.strategies.fb import FB
from dgreid.strategies.fbf import FBF
from dgreid.strategies.il import IL
from dgreid.style import Uniform

LR = json.loads((Path(__file__).parents[2] / "fixtures" / "il" / "lr.json").read_text(encoding="utf-8"))
STRATEGIES = {"il": IL, "il_released": IL, "fbf_released": FBF, "fb_released": FB}
PROTOCOL = "protocol=il/to_market1501"
each_experiment = pytest.mark.parametrize("experiment", STRATEGIES)

COMMON = {
    "use": "train+test",
    "net._target_": "dgreid.nets.resnet.resnet50", "net.weights": "imagenet_v1", "net.neck_bias": "frozen",
    "net.load_bn_statistics": True,
    "strategy.temperature": 0.05, "strategy.momentum": 0.2, "strategy.statistics_chunks": 1, "loss_style": None,
    "optim._target_": "torch.optim.Adam", "optim.lr": 3.5e-4, "optim.weight_decay": 5e-4,
    "schedule.milestones": [30, 50], "schedule.gamma": 0.1,
    "schedule.warmup_epochs": 10, "schedule.warmup_factor": 0.1,
    "epochs": 70, "steps_per_epoch": 200, "holdout": 0.0, "trainer.precision": "32-true", "tf32": False,
    "trainer.gradient_clip_val": None,
    "data.height": 256, "data.width": 128, "data.identities_per_batch": 16, "data.images_per_identity": 4,
    "data.sampling": "cross_camera", "data.transform.flip": 0.5, "data.transform.pad": 10,
    "data.transform.random_erasing": 0.0, "data.transform.colour_jitter": 0.0,
}  # fmt: skip
# The deviations of the release, and its name: (ours, release).
DEVIATIONS = {
    "name": ("il", "il_released"),
    "net.stem_relu": (True, False),
    "selection": ("last", "oracle"),
    "evaluate_every": (None, 1),
}


def of_the_method(key: str) -> bool:
    return key.partition(".")[0] in ("strategy", "memory_style")


@each_experiment
def test_values(experiment):
    found = values(f"experiment={experiment}", PROTOCOL)
    expected = COMMON | {key: pair[experiment != "il"] for key, pair in DEVIATIONS.items()} | {"name": experiment}
    assert {key: found[key] for key in expected} == expected
    assert found["strategy._target_"] == f"{STRATEGIES[experiment].__module__}.{STRATEGIES[experiment].__name__}"
    check_training(composed(f"experiment={experiment}", PROTOCOL))


def test_the_release_differs_in_its_deviations_alone():
    ours, release = values("experiment=il", PROTOCOL), values("experiment=il_released", PROTOCOL)
    assert {key: (ours[key], release[key]) for key in ours if ours[key] != release[key]} == DEVIATIONS
    assert ours.keys() == release.keys()


@pytest.mark.parametrize("experiment", ["fbf_released", "fb_released"])
def test_the_releases_baselines_differ_from_it_in_the_method_alone(experiment):
    release, baseline = values("experiment=il_released"), values(f"experiment={experiment}")
    different = {key for key in {*release, *baseline} if release.get(key) != baseline.get(key)}
    assert {key for key in different if not of_the_method(key)} == {"name"}
    assert baseline["memory_style"] is None
    strategy = experiment.removesuffix("_released")
    assert baseline == values("experiment=il_released", f"strategy={strategy}") | {"name": experiment}


@pytest.mark.parametrize("experiment", ["il_released", "fbf_released", "fb_released"])
def test_a_deviations_comment_names_our_value(experiment):
    """``key: value  # ours: <other>`` and ``# ResNet-50: <other>`` are what ``experiment=il`` composes to."""
    text = (CONF / "experiment" / "il_released.yaml").read_text(encoding="utf-8")
    noted = dict(re.findall(r"^ *(\w+): \S+ +# (?:ours|ResNet-50): (\w+)", text, flags=re.MULTILINE))
    ours, found = values("experiment=il"), values(f"experiment={experiment}")
    by_name = {key.rpartition(".")[2]: key for key in DEVIATIONS if key != "name"}
    assert set(noted) == set(by_name)
    for name, key in by_name.items():
        assert OmegaConf.create(f"value: {noted[name]}").value == ours[key] != found[key]


@each_experiment
def test_the_released_experiments_train_on_query_and_gallery_too(experiment):
    """Ours leaves it to the protocol; no experiment names domains."""
    found = values(f"experiment={experiment}", "protocol=synthetic/to_night")
    assert (found["use"], found["target"]) == ("train" if experiment == "il" else "train+test", "synthetic_night")


def test_the_strategy_of_ours_is_its_class_without_options():
    config = composed("experiment=il")
    options = {key: value for key, value in config.strategy.items() if key != "_target_"}
    given = {key: value for key, value in options.items() if not key.endswith("_style")}
    defaults = {name: one.default for name, one in inspect.signature(IL).parameters.items()}
    assert given == {name: defaults[name] for name in given}
    assert set(defaults) - set(options) == {"draws"}
    default, ours = IL().memory_style, instantiate(config.strategy, _convert_="all").memory_style
    assert type(default) is type(ours) is Uniform
    assert {key: str(value) for key, value in vars(default).items()} == {
        key: str(value) for key, value in vars(ours).items()
    }


@each_experiment
def test_the_strategy_is_built_with_its_styles(experiment):
    strategy = instantiate(composed(f"experiment={experiment}").strategy, _convert_="all")
    assert type(strategy) is STRATEGIES[experiment]
    assert strategy.loss_style is None
    if isinstance(strategy, FBF):
        assert isinstance(strategy.memory_style, Uniform) == isinstance(strategy, IL)
    else:
        assert not hasattr(strategy, "memory_style")


def test_fbf_with_its_style_is_il():
    fbf = values("experiment=fbf_released", "memory_style=uniform")
    assert fbf | {"name": "il_released", "strategy._target_": "dgreid.strategies.il.IL"} == values(
        "experiment=il_released"
    )


@each_experiment
def test_the_chunks_of_four_gpus_are_typed(experiment):
    config = composed(f"experiment={experiment}", "strategy.statistics_chunks=4")
    assert instantiate(config.strategy, _convert_="all").parts.chunks == 4


@each_experiment
@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("net=resnet50_ibn_a", "net._target_", "dgreid.nets.resnet.resnet50_ibn_a"),
        ("net.neck_bias=trainable", "net.neck_bias", "trainable"),
        ("net.stem_relu=null", "net.stem_relu", None),
        ("loss_style=mixstyle", "strategy.loss_style._target_", "dgreid.style.MixStyle"),
        ("strategy=m3l", "strategy._target_", "dgreid.strategies.m3l.M3L"),
        ("schedule=m3l", "schedule.warmup_factor", 0.01),
        ("use=train", "use", "train"),
        ("epochs=7", "epochs", 7),
        ("selection=source", "selection", "source"),
        ("evaluate_every=9", "evaluate_every", 9),
        ("name=mine", "name", "mine"),
    ],
)
def test_what_is_typed_wins(experiment, override, key, value):
    assert values(override, f"experiment={experiment}", PROTOCOL)[key] == value


@pytest.mark.parametrize("experiment", ["il", "il_released", "fbf_released"])
def test_another_memory_style_wins(experiment):
    assert (
        values("memory_style=dsu", f"experiment={experiment}")["strategy.memory_style._target_"] == "dgreid.style.DSU"
    )


@pytest.mark.parametrize("experiment", ["il", "il_released"])
def test_methods_are_compared_under_equal_conditions(experiment):
    """The sweep of docs/protocols.md: nothing but the method differs."""
    configs = {name: values(f"experiment={experiment}", PROTOCOL, f"strategy={name}") for name in ("fb", "fbf", "il")}
    conditions = [{key: one[key] for key in one if not of_the_method(key)} for one in configs.values()]
    assert conditions[0] == conditions[1] == conditions[2]
    assert configs["il"] == values(f"experiment={experiment}", PROTOCOL)
    shared = {
        key: value for key, value in configs["fb"].items() if key.startswith("strategy.") and "_target_" not in key
    }
    for one in configs.values():
        assert shared.items() <= one.items()


@pytest.mark.parametrize("strategy", ["m3l", "softmax_triplet"])
def test_other_methods_take_its_conditions(strategy):
    """No key of IL's is left over that another strategy's constructor would refuse."""
    config = composed("experiment=il", PROTOCOL, f"strategy={strategy}")
    assert type(instantiate(config.strategy, _convert_="all")).__module__ == f"dgreid.strategies.{strategy}"
    assert (config.epochs, config.use, config.net.neck_bias, config.memory_style) == (70, "train+test", "frozen", None)


@each_experiment
def test_the_net_trains_what_the_releases_net_trains(experiment):
    """Recorded from the release: 161 tensors of 23,512,128 numbers, of which the neck's 2,048 biases are frozen."""
    net = build_net(composed(f"experiment={experiment}", PROTOCOL, "net.weights=random"))
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    assert len(trained) == 160
    assert sum(parameter.numel() for parameter in trained) == 23_512_128 - 2_048
    assert isinstance(net.backbone.relu, nn.Identity) == (experiment != "il")


@each_experiment
def test_learning_rates(experiment):
    config = composed(f"experiment={experiment}")
    optimizer = instantiate(config.optim)([nn.Parameter(torch.zeros(1))])
    schedule = instantiate(config.schedule)(optimizer)
    rates = []
    for _ in range(config.epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(LR["lr"], rel=1e-9)
