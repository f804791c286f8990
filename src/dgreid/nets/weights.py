"""Initial weights of a net: found on disk, checked, reported; never downloaded, never silently random."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from dgreid.archives import require_reasonable_size
from dgreid.errors import InputError, nearest
from dgreid.nets.ibn import InstanceBatchNorm
from dgreid.nets.names import BACKBONE, own_names
from dgreid.nets.reid import ReIDNet
from dgreid.nets.weights_report import WeightsReport, load_matching

RANDOM = "random"
PUBLISHED_AT = "https://download.pytorch.org/models/"
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
SMALLEST_SHARE = 0.9
PUBLISHED_HASH = re.compile(r".*-([0-9a-f]{8})")
# The releases' checkpoints hold their best mAP as a numpy scalar, under the module name that numpy had then.
REBUILD_SCALAR = cast("Callable[..., Any]", np.float64(0).__reduce__()[0])
NUMPY_SCALARS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    REBUILD_SCALAR,
    (REBUILD_SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    type(np.dtype("f8")),
    type(np.dtype("f4")),
]


def find_weights(weights: str, published: Mapping[str, Sequence[str]]) -> Path:
    """The file that a ``weights`` value means.

    Args:
        weights: a key of ``published`` or the path of a file.
        published: by name, the published files' names, the first of which is what users are told to get.

    Raises:
        InputError: naming the file, where it was looked for and where users get it.
    """
    if weights in published:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        names = published[weights]
        for name in names:
            if (folder / name).is_file():
                return folder / name
        raise InputError(
            f"weights={weights}: there is no {' or '.join(names)} in {folder}. Get {PUBLISHED_AT}{names[0]} and put it "
            f"there (TORCH_HOME moves the folder), or give weights=<file>, or weights={RANDOM} to start from random "
            "weights."
        )
    path = Path(weights).expanduser()
    if not path.is_file():
        options = nearest(weights, [*published, RANDOM])
        raise InputError(f"weights={weights}: no such file ({path.absolute()}) and no known weights; {options}")
    return path


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.safetensors`` file or of one that torch wrote, bare or under ``state_dict``; code is never run.

    Raises:
        InputError: if the file cannot be read, or holds no tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        require_reasonable_size(path)
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is no weights file, or holds Python objects besides tensors, which could run code and are not "
            "loaded: save it again with torch.save(net.state_dict(), ...)."
        ) from error
    except Exception as error:  # the unpickler raises whatever the damaged bytes suggest
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(f"{path} cannot be read as weights; it may be cut short: {reason}") from error
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    entries = content.items() if isinstance(content, Mapping) else ()
    tensors = {str(name): value for name, value in entries if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{path} holds no tensors by name: give a file that torch.save(net.state_dict(), ...) wrote.")
    return tensors


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_norm_names(net: ReIDNet) -> set[str]:
    """Names of all tensors of the net's IBN-a norms."""
    return {
        f"{module_name}.{name}"
        for module_name, module in net.named_modules()
        if isinstance(module, InstanceBatchNorm)
        for name in module.state_dict()
    }


def names_to_keep(net: ReIDNet, state_dict: Mapping[str, Tensor], load_bn_statistics: bool) -> set[str]:
    """Tensors that stay at their initial values on purpose: unwanted statistics, and split norms plain weights lack."""
    statistics = {name for name in net.state_dict() if name.endswith(STATISTICS)}
    split_norms = split_norm_names(net)
    keep = set() if load_bn_statistics else statistics
    # Files written before batches were counted have no counts.
    keep |= {name for name in statistics if name.endswith("num_batches_tracked") and name not in state_dict}
    return keep | (split_norms if split_norms.isdisjoint(state_dict) else set())


def notes_on(path: Path, net: ReIDNet, state_dict: Mapping[str, Tensor], sha256: str) -> tuple[str, ...]:
    """What a reader of the report should know of the file."""
    notes = []
    published = PUBLISHED_HASH.fullmatch(path.stem)
    if published and not sha256.startswith(published[1]):
        notes.append(f"sha256 does not begin with the {published[1]} of the file's name: not the published file")
    split_norms = split_norm_names(net)
    if split_norms and split_norms.isdisjoint(state_dict):
        notes.append("plain weights: the IBN-a norms start at scale 1, shift 0, mean 0, variance 1")
    return tuple(notes)


def require_match(report: WeightsReport) -> None:
    """Refuses a file that is hardly this net's.

    Raises:
        InputError: if fewer than 90 % of the backbone's tensors, those kept on purpose aside, came from it.
    """
    matched = sum(name.startswith(BACKBONE) for name in report.matched)
    absent = sum(name.startswith(BACKBONE) for name in (*report.missing, *report.mismatched))
    if matched < SMALLEST_SHARE * (matched + absent):
        raise InputError(
            f"weights={report.source}: only {matched} of the backbone's {matched + absent} tensors are in "
            f"{report.file} with the right shape ({SMALLEST_SHARE:.0%} must be). Choose the net these weights were "
            f"made for, or other weights.\n{report.details()}"
        )


def load_initial_weights(
    net: ReIDNet, weights: str, published: Mapping[str, Sequence[str]], load_bn_statistics: bool
) -> None:
    """Gives a net its initial weights and leaves the report in ``net.weights_report``.

    Args:
        net: changed in place.
        weights: ``random`` (the net as constructed), a key of ``published``, or a file.
        published: file names by name, looked for in ``torch.hub.get_dir()/checkpoints``.
        load_bn_statistics: whether running means and variances are taken from the file.

    Raises:
        InputError: if there is no such file, it cannot be read, or it is another net's.
    """
    if weights == RANDOM:
        return
    path = find_weights(weights, published)
    state_dict = own_names(read_state_dict(path))
    sha256 = file_sha256(path)
    report = load_matching(
        net,
        state_dict,
        source=weights,
        keep=names_to_keep(net, state_dict, load_bn_statistics),
        file=str(path),
        sha256=sha256,
        notes=notes_on(path, net, state_dict, sha256),
    )
    require_match(report)
    net.weights_report = report
