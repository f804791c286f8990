"""ONNX files are run in onnxruntime, and compared with the run's own inference net on normalised uint8 images."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bare_runs import TRUST, bare_subject
from omegaconf import OmegaConf

from dgreid.data.transforms import normalise
from dgreid.errors import InputError
from dgreid.export import onnx_file
from dgreid.export.onnx_file import OPSET, TRACED_BATCH, metadata, onnx_model, require_packages, write_onnx
from dgreid.export.parity import TOLERANCE
from dgreid.export.subject import subject_of
from dgreid.nets.state_hash import state_sha256
from dgreid.run.build import set_precision
from dgreid.run.compose import conf_folder
from dgreid.run.load import load_run

OWN = ("strategy=softmax_triplet", "strategy._target_=own_inference.")


def own(name):
    return (OWN[0], OWN[1] + name)


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def assert_same_embeddings(path, folder, counts=(1, 5, 7)):
    """The file on images in [0, 1] against the run on the same pixels, by the data path's own normalisation."""
    run, session = load_run(folder, trust=TRUST), session_of(path)
    data = run.config.data
    largest = 0.0
    for count in counts:
        pixels = torch.randint(0, 256, (count, 3, data.height, data.width), dtype=torch.uint8)
        (found,) = session.run(["embedding"], {"images": (pixels / 255).numpy()})
        with torch.no_grad():
            wanted = run.inference_net(normalise(pixels)).numpy()
        assert found.shape == wanted.shape
        assert found.dtype == np.float32
        assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
        largest = max(largest, float(np.abs(found - wanted).max()))
    assert largest <= 1e-5
    return largest


# Without gathers by computed indices, which other runtimes' converters stumble over. Older onnxscript leaves a Shape.
PLAIN = {
    "Sub", "Div", "Conv", "Relu", "Add", "MaxPool", "ReduceMean", "GlobalAveragePool", "Reshape", "Flatten", "Gemm",
    "BatchNormalization", "InstanceNormalization", "Split", "Concat", "Pow", "Mul", "ReduceSum", "ReduceL2", "Clip",
    "Max", "Sqrt", "Shape",
}  # fmt: skip


def exported(folder, *overrides):
    path = folder / "net.onnx"
    found = write_onnx(bare_subject(folder, *overrides), path)
    assert found is not None
    assert found <= TOLERANCE
    return path


@pytest.fixture(scope="module")
def run_and_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    return folder, exported(folder)


def test_the_small_net_computes_what_torch_does(run_and_file):
    folder, path = run_and_file
    assert TRACED_BATCH not in (1, 5, 7)
    assert_same_embeddings(path, folder)


def test_graphs_are_plain(run_and_file):
    _, path = run_and_file
    assert {node.op_type for node in onnx.load(path).graph.node} <= PLAIN


RESNETS = [
    pytest.param("net=resnet50", id="resnet50"),
    pytest.param("net=resnet50,net.stem_relu=false", id="resnet50-no-stem-relu", marks=pytest.mark.slow),
    pytest.param("net=resnet50_ibn_a,net.stem_relu=false", id="resnet50_ibn_a"),
]


@pytest.mark.parametrize("net", RESNETS)
def test_resnets_compute_what_torch_does(net, tmp_path):
    words = (*net.split(","), "net.weights=random", "data.height=64", "data.width=32")
    path = exported(tmp_path / "run", *words)
    assert_same_embeddings(path, tmp_path / "run", counts=(1, 5))
    assert {node.op_type for node in onnx.load(path).graph.node} <= PLAIN


def test_every_net_is_tried():
    tried = {parameter.values[0].split(",")[0] for parameter in RESNETS}
    assert tried | {"net=small"} == {f"net={path.stem}" for path in (conf_folder() / "net").glob("*.yaml")}


def test_what_a_strategy_does_to_layers_does_not_show(tmp_path):
    path = exported(tmp_path / "run", "strategy=m3l")
    assert any(
        type(layer).__module__ == "dgreid.nets.batch_norm" for layer in load_run(tmp_path / "run").module.modules()
    )
    assert_same_embeddings(path, tmp_path / "run")


def test_after_training_in_the_same_process_tf32_stays_as_it_was(tmp_path):
    """Training sets it for convolutions alone."""
    conv, rnn = torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    subject = bare_subject(tmp_path / "run")
    before = conv.fp32_precision, rnn.fp32_precision
    set_precision(OmegaConf.create({"matmul_precision": "highest", "tf32": False}))
    trained_with = conv.fp32_precision, rnn.fp32_precision
    try:
        onnx_model(subject)
        assert (conv.fp32_precision, rnn.fp32_precision) == trained_with
    finally:
        conv.fp32_precision, rnn.fp32_precision = before


def test_an_inference_net_of_one_s_own_is_exported_whole(tmp_path):
    path = exported(tmp_path / "run", *own("ProjectingStrategy"))
    assert_same_embeddings(path, tmp_path / "run")
    assert session_of(path).get_outputs()[0].shape == ["batch", 6]


def test_the_graph_says_what_it_takes_and_gives(run_and_file):
    _, path = run_and_file
    (images,), (embedding,) = session_of(path).get_inputs(), session_of(path).get_outputs()
    assert (images.name, images.shape, images.type) == ("images", ["batch", 3, 32, 16], "tensor(float)")
    assert (embedding.name, embedding.shape, embedding.type) == ("embedding", ["batch", 32], "tensor(float)")
    model = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]


def test_the_metadata_says_where_the_normalisation_is(run_and_file):
    folder, path = run_and_file
    facts = session_of(path).get_modelmeta().custom_metadata_map
    assert facts["normalisation"].startswith("inside the graph: give RGB images with values in [0, 1]")
    assert facts["input"] == "images: float32 (N, 3, 32, 16), channels in the order RGB, values in [0, 1]"
    assert facts["output"] == "embedding: float32 (N, 32), rows of unit length"
    assert (facts["color_order"], facts["value_range"], facts["interpolation"]) == ("RGB", "[0, 1]", "bicubic")
    assert json.loads(facts["mean"]) == [0.485, 0.456, 0.406]
    assert json.loads(facts["std"]) == [0.229, 0.224, 0.225]
    assert json.loads(facts["sources"]) == ["market1501", "msmt17v1"]
    assert (facts["strategy"], facts["checkpoint"], facts["step"]) == ("fb", "selected", "7")
    assert facts["weights_sha256"] == state_sha256(load_run(folder).module.net)
    assert facts["dgreid_version"] == "0.1.0"


def test_no_folder_of_this_machine_is_in_the_file(run_and_file):
    folder, path = run_and_file
    content = path.read_bytes()
    for place in (Path(__file__).parents[3], folder, Path(sys.prefix)):
        assert str(place).encode() not in content, place


def test_the_weights_of_another_checkpoint_are_others(run_and_file):
    folder, _ = run_and_file
    subjects = [subject_of(load_run(folder, name), name) for name in ("initial", "last", "selected")]
    hashes = [metadata(subject)["weights_sha256"] for subject in subjects]
    assert hashes[0] != hashes[1] == hashes[2]
    assert [metadata(subject)["step"] for subject in subjects] == ["0", "7", "7"]


def test_what_differs_is_not_kept(tmp_path):
    subject = bare_subject(tmp_path / "run", *own("Forgetful"))
    with pytest.raises(
        InputError, match=r"net.onnx was not kept: its embeddings differ from the run's by up to 0\.\d+"
    ):
        write_onnx(subject, tmp_path / "out" / "net.onnx")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_net_that_cannot_be_traced_is_named(tmp_path):
    subject = bare_subject(tmp_path / "run", *own("DependsOnValues"))
    with pytest.raises(
        InputError, match=r"inference net \(Branching\) cannot be traced for ONNX: .*format=safetensors"
    ):
        write_onnx(subject, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


def test_embeddings_that_have_no_unit_length_are_refused(tmp_path):
    with pytest.raises(InputError, match="they must have unit length"):
        bare_subject(tmp_path / "run", *own("FarFromUnit"))


def test_missing_packages_are_named(monkeypatch):
    require_packages()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"format=onnx needs onnxscript: pip install 'dgreid\[onnx\]'"):
        require_packages()


def test_without_onnxruntime_the_file_is_written_and_not_called_checked(run_and_file, tmp_path, monkeypatch):
    folder, path = run_and_file
    subject = subject_of(load_run(folder), "selected")
    monkeypatch.setattr(onnx_file, "onnx_model", lambda _: onnx.load(path))
    assert write_onnx(subject, tmp_path / "first.onnx") is not None
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert write_onnx(subject, tmp_path / "second.onnx") is None
    assert (tmp_path / "second.onnx").read_bytes() == (tmp_path / "first.onnx").read_bytes()
