"""``experiment=m3l`` is the paper's method in its release's training; ``m3l_released`` is what the release computes."""

from __future__ import annotations

import inspect

import pytest
import torch
from composition import composed, values
from hydra.utils import instantiate
from torch import nn

from dgreid.run.build import build_net
from dgreid.strategies.m3l import M3L

EXPERIMENTS = ("m3l", "m3l_released")
NETS = ("resnet50", "resnet50_ibn_a")
PROTOCOL = "protocol=m3l/to_market1501"

COMMON = {
    "net.neck_bias": "trainable",
    "strategy._target_": "dgreid.strategies.m3l.M3L",
    "strategy.temperature": 0.05, "strategy.momentum": 0.2, "strategy.margin": 0.3, "strategy.order": "second",
    "strategy.inner_learning_rate": "outer", "strategy.inner_weight_decay": 5e-4,
    "optim._target_": "torch.optim.Adam", "optim.lr": 3.5e-4, "optim.weight_decay": 5e-4,
    "schedule.milestones": [30, 50], "schedule.gamma": 0.1,
    "schedule.warmup_epochs": 10, "schedule.warmup_factor": 0.01,
    "epochs": 60, "steps_per_epoch": 200, "holdout": 0.0, "trainer.precision": "32-true", "tf32": False,
    "trainer.gradient_clip_val": None,
    "data.height": 256, "data.width": 128, "data.identities_per_batch": 16, "data.images_per_identity": 4,
    "data.sampling": "cross_camera", "data.transform.flip": 0.5, "data.transform.pad": 10,
    "data.transform.random_erasing": 0.0, "data.transform.colour_jitter": 0.0,
}  # fmt: skip
# The six deviations of the release, and its name: (paper, release).
DEVIATIONS = {
    "name": ("m3l", "m3l_released"),
    "strategy.outer_gradient": ("full", "second_order_only"),
    "strategy.metabn_scale": ("std", "variance"),
    "strategy.meta_test_updates_bn": (False, True),
    "net.stem_relu": (True, False),
    "net.load_bn_statistics": (True, False),
    "selection": ("last", "oracle"),
    "evaluate_every": (None, 1),
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_values(experiment, net):
    found = values(f"experiment={experiment}", PROTOCOL, f"net={net}")
    expected = {key: pair[EXPERIMENTS.index(experiment)] for key, pair in DEVIATIONS.items()}
    expected |= COMMON | {"net._target_": f"dgreid.nets.resnet.{net}", "net.weights": "imagenet_v1"}
    assert {key: found[key] for key in expected} == expected


def test_the_net_without_a_choice_is_resnet50():
    assert values("experiment=m3l")["net._target_"] == "dgreid.nets.resnet.resnet50"


@pytest.mark.parametrize("net", NETS)
def test_the_two_differ_in_the_deviations_alone(net):
    paper, release = (values(f"experiment={experiment}", PROTOCOL, f"net={net}") for experiment in EXPERIMENTS)
    assert {key: (paper[key], release[key]) for key in paper if paper[key] != release[key]} == DEVIATIONS
    assert paper.keys() == release.keys()


def test_the_strategy_of_the_paper_is_its_class_without_options():
    given = {key: value for key, value in composed("experiment=m3l").strategy.items() if key != "_target_"}
    defaults = {name: one.default for name, one in inspect.signature(M3L).parameters.items()}
    assert given == {name: defaults[name] for name in given}
    assert set(defaults) - set(given) == {"draws"}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("net=resnet50_ibn_a", "net._target_", "dgreid.nets.resnet.resnet50_ibn_a"),
        ("net=small", "net._target_", "dgreid.nets.small.small"),
        ("strategy=fb", "strategy._target_", "dgreid.strategies.fb.FB"),
        ("schedule=il", "schedule.warmup_factor", 0.1),
        ("data=small", "data.height", 128),
        ("protocol=m3l_recommended/to_msmt17v1", "target", "msmt17v1"),
        ("net.neck_bias=frozen", "net.neck_bias", "frozen"),
        ("net.stem_relu=null", "net.stem_relu", None),
        ("strategy.outer_gradient=other", "strategy.outer_gradient", "other"),
        ("optim.weight_decay=0.1", "strategy.inner_weight_decay", 0.1),
        ("epochs=7", "epochs", 7),
        ("selection=source", "selection", "source"),
        ("evaluate_every=9", "evaluate_every", 9),
        ("name=mine", "name", "mine"),
    ],
)
def test_the_command_line_wins(experiment, override, key, value):
    for overrides in ([f"experiment={experiment}", override], [override, f"experiment={experiment}"]):
        assert values(*overrides)[key] == value


@pytest.mark.parametrize("strategy", ["fb", "softmax_triplet"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_baseline_trains_under_the_same_conditions(experiment, strategy):
    """No key of M3L's is left over that another strategy's constructor would refuse."""
    config = composed(f"experiment={experiment}", f"strategy={strategy}")
    assert type(instantiate(config.strategy)).__module__ == f"dgreid.strategies.{strategy}"
    expected = {key: pair[EXPERIMENTS.index(experiment)] for key, pair in DEVIATIONS.items()} | COMMON
    expected = {key: value for key, value in expected.items() if not key.startswith("strategy.")}
    found = values(f"experiment={experiment}", f"strategy={strategy}")
    assert {key: found[key] for key in expected} == expected


def test_the_releases_strategy_alone_leaves_the_net_as_it_is():
    paper, release = (values(f"strategy={strategy}") for strategy in EXPERIMENTS)
    of_the_strategy = {key: pair for key, pair in DEVIATIONS.items() if key.startswith("strategy.")}
    assert {key: (paper[key], release[key]) for key in paper if paper[key] != release[key]} == of_the_strategy
    assert paper.keys() == release.keys()


@pytest.mark.parametrize(("net", "tensors"), [("resnet50", 161), ("resnet50_ibn_a", 187)])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_net_trains_what_the_releases_net_trains(experiment, net, tensors):
    """Recorded from the release: 161 and 187 trained tensors of 23,512,128 numbers, neck bias included."""
    built = build_net(composed(f"experiment={experiment}", PROTOCOL, f"net={net}", "net.weights=random"))
    trained = [parameter for parameter in built.parameters() if parameter.requires_grad]
    assert len(trained) == tensors
    assert sum(parameter.numel() for parameter in trained) == 23_512_128
    assert isinstance(built.backbone.relu, nn.Identity) == (experiment == "m3l_released")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_strategy_is_built_with_its_options(experiment):
    strategy = instantiate(composed(f"experiment={experiment}").strategy)
    released = experiment == "m3l_released"
    assert strategy.identity_path is not released
    assert strategy.metabn_scale == ("variance" if released else "std")
    assert strategy.meta_test_updates_bn is released


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_learning_rates(experiment):
    config = composed(f"experiment={experiment}")
    optimizer = instantiate(config.optim)([nn.Parameter(torch.zeros(1))])
    schedule = instantiate(config.schedule)(optimizer)
    rates = []
    for _ in range(config.epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    recorded = {0: 3.5e-6, 1: 3.815e-5, 5: 1.7675e-4, 9: 3.1535e-4, 10: 3.5e-4, 29: 3.5e-4, 30: 3.5e-5, 49: 3.5e-5,
                50: 3.5e-6, 59: 3.5e-6}  # fmt: skip
    assert {epoch: rates[epoch] for epoch in recorded} == pytest.approx(recorded, rel=1e-9)
