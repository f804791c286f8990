"""ONNX: one file that needs neither this package nor torch, and cannot be fed doubly normalised images by an option."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgreid.errors import InputError
from dgreid.export.embedder import example_images
from dgreid.export.parity import largest_difference, require_parity
from dgreid.export.subject import Subject, as_text
from dgreid.files import write_atomically

OPSET = 18  # what torch's translations are written in: no conversion, and older runtimes read it
INPUT = "images"
OUTPUT = "embedding"
TRACED_BATCH = 2  # torch takes an axis of length 1 for a constant
NORMALISATION = (
    "inside the graph: give RGB images with values in [0, 1], as they are after division by 255; do not normalise them"
)


def require_packages() -> None:
    """What writing an ONNX file needs must be installed.

    Raises:
        InputError: naming what to install.
    """
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise InputError(f"format=onnx needs {' and '.join(missing)}: pip install 'dgreid[onnx]'")


def write_onnx(subject: Subject, path: Path) -> float | None:
    """Writes the file, and keeps it only if onnxruntime finds in it what torch computes.

    Args:
        subject: what is exported.
        path: the file, which must not exist.

    Returns:
        The largest difference from torch; None if onnxruntime is not installed.

    Raises:
        InputError: the inference net cannot be traced, the file differs from it, or cannot be written.
    """
    import onnx

    model = onnx_model(subject)
    differences = []

    def write(temporary: Path) -> None:
        onnx.save(model, str(temporary))
        if find_spec("onnxruntime") is not None:
            found = largest_difference(subject.embedder, _runtime(temporary), subject.height, subject.width)
            require_parity(path, found)
            differences.append(found)

    write_atomically(path, write)
    return differences[0] if differences else None


def onnx_model(subject: Subject) -> Any:
    """The graph with its weights and metadata, as an ``onnx.ModelProto``.

    Raises:
        InputError: the inference net cannot be traced.
    """
    import onnx

    images = example_images(TRACED_BATCH, subject.height, subject.width)
    try:
        with _one_tf32_setting():
            program = torch.onnx.export(
                subject.embedder,
                (images,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        name = type(subject.embedder.net).__name__
        reason = str(error.__cause__ or error).strip().split("\n")[0]
        raise InputError(
            f"the strategy's inference net ({name}) cannot be traced for ONNX: {reason}. Its forward may not depend on "
            "the values of tensors or on the number of images; format=safetensors needs no tracing"
        ) from error
    assert program is not None
    model = program.model_proto
    _forget_places(model)
    onnx.helper.set_model_props(model, metadata(subject))
    onnx.checker.check_model(model, full_check=True)
    return model


def metadata(subject: Subject) -> dict[str, str]:
    """What the file says of itself."""
    size = f"3, {subject.height}, {subject.width}"
    return {
        "input": f"{INPUT}: float32 (N, {size}), channels in the order RGB, values in [0, 1]",
        "normalisation": NORMALISATION,
        "output": f"{OUTPUT}: float32 (N, {subject.facts['embedding_dimension']}), rows of unit length",
        "color_order": "RGB",
        "value_range": "[0, 1]",
        **as_text(subject.facts),
    }


@contextmanager
def _one_tf32_setting() -> Iterator[None]:
    """While tracing, torch reads cuDNN's TF32 as a whole and fails where training has set it for convolutions alone."""
    cudnn: Any = torch.backends.cudnn
    before = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
    cudnn.allow_tf32 = cudnn.conv.fp32_precision == "tf32"
    try:
        yield
    finally:
        cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = before


def _forget_places(message: Any) -> None:
    """Removes torch's notes on a graph and all its parts: they name lines of code in folders of this machine."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in value if hasattr(value, "__len__") else (value,):
                _forget_places(part)


def _runtime(path: Path) -> Any:
    """A file as a function of tensors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def embed(images: Tensor) -> Tensor:
        (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
        return torch.from_numpy(found)

    return embed
