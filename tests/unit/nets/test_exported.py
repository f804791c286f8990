"""What files say of the net they hold: taken at their word where it can be one, never built."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from dgreid.nets.exported import LARGEST, exported_settings

NET = "dgreid.nets.small.small"
SAID = {"net": {"_target_": NET, "width": 4, "stem_relu": True, "weights": "random"}, "height": 64, "width": 32}
FOUND = {"net.stem_relu": True, "net.width": 4, "data.height": 64, "data.width": 32}


@pytest.fixture
def file(tmp_path):
    """Writes a file that says something."""

    def written(**said):
        metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()}
        save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", metadata=metadata)
        return tmp_path / "w.safetensors"

    return written


def test_a_file_s_word(file):
    assert exported_settings(file(**SAID), NET) == FOUND


def test_the_word_for_another_net_is_not_taken(file):
    assert exported_settings(file(**SAID), "dgreid.nets.resnet.resnet50") == {}


@pytest.mark.parametrize("said", [{"net": "{"}, {"net": [NET]}, {"net": {}}, {"height": "[" * 10**5}])
def test_files_whose_word_is_none(file, said):
    assert exported_settings(file(**{**SAID, **said}), NET) == {}


def test_files_that_say_nothing(file):
    assert exported_settings(file(), NET) == {}
    assert exported_settings(file(net=SAID["net"]), NET) == {}


def test_files_of_other_kinds(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    assert exported_settings(tmp_path / "w.pth", NET) == {}
    assert exported_settings(tmp_path / "none.safetensors", NET) == {}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("net.stem_relu", {"net": {**SAID["net"], "stem_relu": 1}}),
        ("net.width", {"net": {**SAID["net"], "width": True}}),
        ("net.width", {"net": {**SAID["net"], "width": "4"}}),
        ("data.height", {"height": LARGEST + 1}),
        ("data.height", {"height": 0}),
        ("data.width", {"width": 1.5}),
        ("data.width", {"width": None}),
    ],
)
def test_what_cannot_be_is_passed_over(file, key, said):
    assert exported_settings(file(**{**SAID, **said}), NET) == {k: v for k, v in FOUND.items() if k != key}
