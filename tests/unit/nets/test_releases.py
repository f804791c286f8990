"""Files of the releases are told by their names of tensors; the names are torchvision's, put together here."""

from __future__ import annotations

import re

import pytest
import torch
from torchvision.models import resnet50 as torchvision_resnet50
from torchvision.models import resnet101

from dgreid.errors import InputError
from dgreid.nets.releases import (
    OWN,
    OWN_RUN,
    UNKNOWN,
    file_names,
    fitting_net,
    is_trunk,
    recognise,
    target_by_file_name,
)
from dgreid.nets.resnet import resnet50, resnet50_ibn_a
from dgreid.nets.small import small

META = [f"meta_{kind}{domain}" for domain in (1, 2) for kind in ("mean", "var")]
NORM = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


def trunk_names(build=torchvision_resnet50, ibn=False) -> list[str]:
    with torch.device("meta"):
        names = [name for name in build(weights=None).state_dict() if not name.startswith("fc.")]
    if not ibn:
        return names
    split = [name for name in names if re.fullmatch(r"layer[123]\.\d+\.bn1\.\w+", name)]
    parts = [name.replace(".bn1.", ".bn1.BN.") for name in split]
    parts += [name.replace(".bn1.", ".bn1.IN.") for name in split if name.endswith(("weight", "bias"))]
    return [name for name in names if name not in split] + parts


def m3l(ibn=False) -> list[str]:
    return [f"module.base.{n}" for n in trunk_names(ibn=ibn)] + [f"module.feat_bn.{n}" for n in NORM + META]


def il(prefix: str) -> list[str]:
    return [f"module.{prefix}{n}" for n in trunk_names()] + [f"module.feat_bn0.{n}" for n in NORM]


def test_the_files_have_as_many_entries_as_the_releases():
    assert [len(m3l()), len(m3l(ibn=True)), len(il("")), len(il("base."))] == [327, 353, 323, 323]


@pytest.mark.parametrize(
    ("names", "name", "stem_relu"),
    [
        (m3l(), "the M3L release (resMeta)", False),
        (m3l(ibn=True), "the M3L release (IBNMeta)", False),
        (il(""), "the IL release", False),
        (il("base."), "the IL release (with a stem ReLU)", True),
    ],
    ids=["resMeta", "IBNMeta", "resnet_1", "resnet"],
)
def test_a_release_is_recognised(names, name, stem_relu):
    for written in (names, [n.removeprefix("module.") for n in names], names[::-1]):
        release = recognise(written)
        assert (release.name, release.stem_relu) == (name, stem_relu)
    assert recognise([*names, "module.classifier.weight", "optimizer"]).name == name


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["weight", "layers.0.bias"],
        trunk_names(),
        [f"base.{n}" for n in trunk_names()],
        [*m3l(), *il("")],
        [*m3l(), "module.feat_bn0.weight"],
        [*m3l(), "layer1.0.conv1.weight"],
        [f"encoder.{n}" for n in trunk_names()] + ["feat_bn.weight"],
        [*il(""), "module.layer1.0.bn1.IN.weight"],
    ],
)
def test_what_fits_no_release_is_said_to_be_unknown(names):
    assert recognise(names) is UNKNOWN
    assert UNKNOWN.stem_relu is None


def test_files_of_this_project_do_not_tell_of_the_stem():
    names = list(resnet50(weights="random").state_dict())
    assert recognise(names) is OWN
    assert recognise(resnet50_ibn_a(weights="random").state_dict()) is OWN
    assert recognise([*(f"net.{n}" for n in names), "strategy.banks.plaza.rows"]) is OWN_RUN
    assert (OWN.stem_relu, OWN_RUN.stem_relu) == (None, None)


def test_every_tensor_has_its_name_here_and_in_the_file():
    for names, net in ((m3l(), resnet50), (m3l(ibn=True), resnet50_ibn_a), (il(""), resnet50), (il("base."), resnet50)):
        named = file_names(names)
        assert sorted(named.values()) == sorted(names)
        own = set(net(weights="random").state_dict())
        assert set(named) - own == {f"neck.{n}" for n in META if any("meta_" in name for name in names)}
        assert own <= set(named)
    names = small().state_dict()
    checkpoint = [*(f"net.{n}" for n in names), "strategy.rows"]
    assert file_names(checkpoint) == {**{n: f"net.{n}" for n in names}, "strategy.rows": "strategy.rows"}


def test_two_nets_in_one_file_are_refused():
    with pytest.raises(
        InputError, match=r"base\.conv1\.weight and conv1\.weight would both be backbone\.conv1\.weight"
    ):
        file_names(["base.conv1.weight", "conv1.weight"])


def test_the_net_is_named_by_its_tensors():
    assert fitting_net(resnet50(weights="random").state_dict()) == "net=resnet50"
    assert fitting_net(resnet50_ibn_a(weights="random").state_dict()) == "net=resnet50_ibn_a"
    assert fitting_net(small(width=4).state_dict()) == "net=small net.width=4"
    assert fitting_net({f"backbone.{n}": torch.zeros(0) for n in trunk_names(resnet101)}) is None
    assert fitting_net({}) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("backbone.layer3.6.conv1.weight", True),
        ("backbone.conv1.weight", True),
        ("backbone.bn1.weight", True),
        ("backbone.fc.weight", False),
        ("backbone.classifier.weight", False),
        ("backbone.layernorm.weight", False),
        ("neck.meta_mean1", False),
        ("strategy.layer1.weight", False),
    ],
)
def test_what_belongs_to_a_backbone(name, expected):
    assert is_trunk(name) == expected


@pytest.mark.parametrize(
    ("file", "target"),
    [
        ("market_resMeta.pth.tar", "market"),
        ("cuhknp_IBNMeta.pth.tar", "cuhknp"),
        ("model_best.pth.tar", None),
        ("market_resMetaphor.pth", None),
        ("resMeta.pth.tar", None),
    ],
)
def test_the_target_in_a_file_s_name(file, target):
    assert target_by_file_name(file) == target
