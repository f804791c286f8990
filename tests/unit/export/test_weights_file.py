import json

import pytest
import torch
from bare_runs import TRUST, bare_run, bare_subject
from own_inference import Projected
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from dgreid.data.transforms import normalise
from dgreid.errors import InputError
from dgreid.export.exporting import export_run
from dgreid.export.weights_file import NETS, WEIGHTS, load_exported, write_weights
from dgreid.nets.small import small
from dgreid.run.compose import conf_folder
from dgreid.run.load import load_run

OWN = ("strategy=softmax_triplet", "strategy._target_=own_inference.ProjectingStrategy")


@pytest.fixture
def exported(tmp_path):
    """A run's folder and its export."""
    folder = bare_run(tmp_path / "run")
    export_run(folder, "safetensors")
    return folder, folder / "exports" / "selected"


def images(count=3):
    return torch.randint(0, 256, (count, 3, 32, 16), dtype=torch.uint8)


def rewrite(path, tensors=None, **facts):
    """The file with other tensors or facts; a fact of None is left out."""
    with safe_open(path, framework="pt") as file:
        metadata = {**file.metadata(), **facts}
    save_file(tensors or load_file(path), path, metadata={k: v for k, v in metadata.items() if v is not None})


def test_tensors_have_the_names_and_values_of_the_net(exported):
    folder, place = exported
    tensors, own = load_file(place / WEIGHTS), load_run(folder).module.net.state_dict()
    assert tensors.keys() == own.keys()
    assert all(torch.equal(tensors[name], own[name]) for name in own)


def test_a_loaded_export_is_the_run(exported):
    folder, place = exported
    pixels = images()
    net = load_exported(place)
    with torch.no_grad():
        wanted = load_run(folder).inference_net(normalise(pixels))
    assert (net(pixels / 255) - wanted).abs().max() < 1e-6
    assert (net.net(normalise(pixels)) - wanted).abs().max() < 1e-6
    assert not net.training
    assert not net(pixels / 255).requires_grad
    assert torch.equal(load_exported(place / WEIGHTS)(pixels / 255), net(pixels / 255))


@pytest.mark.parametrize("net", ["resnet50", "resnet50_ibn_a"])
def test_resnets_come_back_with_their_structure(net, tmp_path):
    words = (f"net={net}", "net.weights=random", "net.stem_relu=false", "net.neck_bias=trainable")
    subject = bare_subject(tmp_path / "run", *words)
    write_weights(subject, tmp_path / WEIGHTS)
    pixels = images(2)
    with torch.no_grad():
        wanted = subject.embedder(pixels / 255)
    assert (load_exported(tmp_path)(pixels / 255) - wanted).abs().max() < 1e-5


def test_the_nets_of_the_configuration_can_be_built():
    targets = {path.read_text().split()[1] for path in (conf_folder() / "net").glob("*.yaml")}
    assert targets == set(NETS)


def test_the_file_says_what_it_holds(exported):
    _, place = exported
    with safe_open(place / WEIGHTS, framework="pt") as file:
        facts = file.metadata()
    assert facts["format"] == "pt"
    assert json.loads(facts["net"])["width"] == 4
    assert "weights" not in json.loads(facts["net"])
    assert (facts["height"], facts["width"], facts["tensors"]) == ("32", "16", "net")
    assert json.loads(facts["sources"]) == ["market1501", "msmt17v1"]


def test_whoever_may_read_the_card_may_read_the_weights(exported):
    _, place = exported
    assert (place / WEIGHTS).stat().st_mode == (place / "model_card.md").stat().st_mode


def test_an_inference_net_of_one_s_own_needs_its_class(tmp_path):
    folder = bare_run(tmp_path / "run", *OWN)
    export_run(folder, "safetensors", output=tmp_path / "out", trust=TRUST)
    with pytest.raises(InputError, match=r"tensors of an inference net of one's own, .* load_exported\(\.\.\., net="):
        load_exported(tmp_path / "out")
    pixels = images()
    found = load_exported(tmp_path / "out", Projected(small(width=4), nn.Linear(32, 6)))(pixels / 255)
    with torch.no_grad():
        wanted = load_run(folder, trust=TRUST).inference_net(normalise(pixels))
    assert found.shape == (3, 6)
    assert (found - wanted).abs().max() < 1e-6


def test_a_net_that_a_file_names_is_not_imported(exported):
    _, place = exported
    rewrite(place / WEIGHTS, net=json.dumps({"_target_": "os.system", "command": "false"}))
    with pytest.raises(InputError, match=r"net of one's own \(os.system\), and code that a file names is not run"):
        load_exported(place)
    assert load_exported(place, small(width=4)).net.net.feature_dimension == 32


def test_other_tensors_are_noticed(exported):
    _, place = exported
    tensors = load_file(place / WEIGHTS)
    tensors["neck.weight"] = tensors["neck.weight"] + 1
    rewrite(place / WEIGHTS, tensors)
    with pytest.raises(InputError, match="was changed or damaged"):
        load_exported(place)
    del tensors["neck.weight"]
    rewrite(place / WEIGHTS, tensors)
    with pytest.raises(InputError, match=r"does not fit ReIDNet: .*neck\.weight"):
        load_exported(place)


def test_what_is_no_export_is_refused(exported, tmp_path):
    _, place = exported
    with pytest.raises(InputError, match=r"nowhere: no such file; give the folder that"):
        load_exported(tmp_path / "nowhere")
    with pytest.raises(InputError, match=rf"{WEIGHTS}: no such file"):
        load_exported(tmp_path)
    rewrite(place / WEIGHTS, mean=None)
    with pytest.raises(InputError, match=r"does not say what its tensors are; .*evaluate.py checkpoint=<file> net="):
        load_exported(place)
    (place / WEIGHTS).write_bytes((place / WEIGHTS).read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read as safetensors; it may be cut short"):
        load_exported(place)


def test_arguments_of_another_version_are_named(exported):
    _, place = exported
    rewrite(place / WEIGHTS, net=json.dumps({"_target_": "dgreid.nets.small.small", "depth": 3}))
    with pytest.raises(InputError, match=r"written by dgreid 0\.1\.0, whose nets take other arguments: .*'depth'"):
        load_exported(place)
