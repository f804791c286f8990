"""``init=<run|checkpoint>``: weights of an earlier run as the start of a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_info
from torch import nn

from dgreid.errors import InputError
from dgreid.nets.names import own_names
from dgreid.nets.weights import file_sha256, read_state_dict
from dgreid.nets.weights_report import load_matching
from dgreid.run.checkpoints import CHECKPOINTS


def checkpoint_file(start: Path) -> Path:
    """The file behind a run folder (its selected checkpoint, else its last) or a checkpoint's own path.

    Raises:
        InputError: the folder has no checkpoint, or the file does not exist.
    """
    if start.is_dir():
        candidates = [start / CHECKPOINTS / f"{name}.ckpt" for name in ("selected", "last")]
        found = next((path for path in candidates if path.is_file()), None)
        if found is None:
            raise InputError(f"{start}: no {CHECKPOINTS}/selected.ckpt or last.ckpt in it; give a run that was trained")
        return found
    if not start.is_file():
        raise InputError(f"{start}: no such checkpoint; give a run folder or a .ckpt file")
    return start


def start_from(net: nn.Module, start: Path) -> None:
    """Loads whatever names and shapes match, and says what did.

    Args:
        net: changed in place.
        start: a run folder, a checkpoint of a run, or any file of weights that can be read.

    Raises:
        InputError: nothing matches, or the file cannot be read.
    """
    path = checkpoint_file(start)
    tensors = read_state_dict(path)
    ours = {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}
    report = load_matching(net, ours or own_names(tensors), str(start), file=str(path), sha256=file_sha256(path))
    # Batch normalisation counts its batches in nets of any shape.
    if all(name.endswith("num_batches_tracked") for name in report.matched):
        raise InputError(f"init={start}: no tensor of {path} fits this net; choose the net it was trained with")
    told: Any = net  # of any net, also one that does not declare it
    told.weights_report = report
    rank_zero_info(f"init: {report.details()}")
