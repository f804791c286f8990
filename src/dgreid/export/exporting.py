"""One export from beginning to end: what is asked for is checked, the run loaded, the file written and compared."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dgreid.errors import InputError, check_one_of
from dgreid.export.model_card import CARD, model_card
from dgreid.export.onnx_file import INPUT, OPSET, OUTPUT, require_packages, write_onnx
from dgreid.export.parity import largest_difference, require_parity
from dgreid.export.provenance import measured, withdrawn
from dgreid.export.subject import Subject, subject_of
from dgreid.export.weights_file import WEIGHTS, can_be_built, load_exported, write_weights
from dgreid.files import new_folder, require_within, write_text
from dgreid.run.folder import RECORD, RESULT
from dgreid.run.load import find_checkpoint, load_run, read_run
from dgreid.run.stored import stored_json

EXPORTS = "exports"
FORMATS = ("onnx", "safetensors")


def export_run(
    folder: Path,
    form: str,
    checkpoint: str = "selected",
    target: str | None = None,
    output: Path | None = None,
    trust: Sequence[str] = (),
) -> list[str]:
    """Writes one export.

    Args:
        folder: a run's folder.
        form: ``onnx`` or ``safetensors``.
        checkpoint: as for :func:`dgreid.run.load.load_run`.
        target: likewise.
        output: the file (ONNX) or folder (safetensors) to write; by default in ``<folder>/exports``.
        trust: as for :func:`dgreid.run.load.load_run`.

    Returns:
        Lines that say what was written and how it was checked.

    Raises:
        InputError: as the command documents; nothing is left behind then.
    """
    check_one_of("format", form, FORMATS)
    path = _place(folder, form, checkpoint, target, output)
    if form == "onnx":
        require_packages()
    read_run(folder, trust)
    check_free(path)
    if checkpoint != "initial" and target is not None:
        find_checkpoint(folder, checkpoint, target)
    subject = subject_of(load_run(folder, checkpoint, target, trust), checkpoint)
    difference = write_onnx(subject, path) if form == "onnx" else _write_folder(subject, folder, path)
    return [*_lines(subject, path, form, difference), *(f"warning: {line}" for line in withdrawn(subject))]


def check_free(path: Path) -> None:
    """Nothing that exists is overwritten.

    Raises:
        InputError: something is there.
    """
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists, and nothing is overwritten: give another place with output=..., or remove it")


def _place(folder: Path, form: str, checkpoint: str, target: str | None, output: Path | None) -> Path:
    if output is None:
        name = f"{checkpoint}_{target}" if checkpoint == "oracle" and target else Path(checkpoint).stem
        return require_within(folder, folder / EXPORTS / (f"{name}.onnx" if form == "onnx" else name))
    if form == "onnx" and output.suffix != ".onnx":
        raise InputError(f"output={output}: the name of an ONNX file ends with .onnx")
    if form == "safetensors" and output.suffix in (".safetensors", ".onnx"):
        raise InputError(
            f"output={output}: format=safetensors writes a folder ({WEIGHTS}, {CARD}); give a folder's name"
        )
    return output


def _write_folder(subject: Subject, run: Path, path: Path) -> float:
    """Weights and card; read back and compared before the folder gets its name."""
    result = run / RESULT
    found = stored_json(result) if result.is_file() else None
    with new_folder(path) as temporary:
        write_weights(subject, temporary / WEIGHTS)
        write_text(temporary / CARD, _card(subject, found, run))
        own = None if can_be_built(subject.facts) else copy.deepcopy(subject.net)
        read_back = load_exported(temporary, own)
        difference = largest_difference(subject.embedder, read_back, subject.height, subject.width)
        require_parity(path, difference)
    return difference


def _card(subject: Subject, result: dict[str, Any] | None, run: Path) -> str:
    try:
        return model_card(subject, measured(subject, result))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{run}: {RESULT} or {RECORD} is damaged ({error!r}); copy the run again") from error


def _lines(subject: Subject, path: Path, form: str, difference: float | None) -> list[str]:
    size = f"3, {subject.height}, {subject.width}"
    what = f"ONNX, opset {OPSET}" if form == "onnx" else f"{WEIGHTS}, {CARD}"
    checked = (
        "not compared with torch: pip install onnxruntime"
        if difference is None
        else f"largest difference from the run's embeddings {difference:.1e}"
    )
    return [
        f"written:   {path} ({what}; {checked})",
        f"{f'{INPUT}:':10} float32 (N, {size}), RGB in [0, 1]; normalised inside",
        f"{f'{OUTPUT}:':10} (N, {subject.facts['embedding_dimension']}), unit length",
    ]
