"""Which published method a file of weights looks like: files say it by their names of tensors, not by a label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from dgreid.errors import InputError
from dgreid.nets.names import BACKBONE, NECK, own_name

OF_A_RUN = "net."  # before the net's tensors in the checkpoint of a run
SELECTED_ON_ITS_TARGET = "the release keeps the weights that scored best on the test set of its target"
TRUNK = re.compile(rf"{re.escape(BACKBONE)}(conv\d|bn\d|layer\d)\b")
M3L_FILE = re.compile(r"([A-Za-z0-9]+)_(?:resMeta|IBNMeta)\b.*")


@dataclass(frozen=True)
class Release:
    """A structure of files.

    Attributes:
        name: for messages, after "looks like".
        stem_relu: whether its net has a ReLU in the stem, which no tensor tells; None: this structure has been written
            for both.
        extras: beginning of the file's own names of tensors that belong to training alone, or "".
        note: what a reader of its numbers should know, or "".
    """

    name: str
    stem_relu: bool | None
    extras: str = ""
    note: str = ""


OWN = Release("weights of this project", None)
OWN_RUN = Release("a checkpoint of a run of this project", None, "strategy.")
UNKNOWN = Release("no release known here", None)
# By prefix of the backbone, prefix of the neck, and whether the first norms of blocks are split (IBN-a).
RELEASES = {
    ("base.", "feat_bn.", False): Release("the M3L release (resMeta)", False, "feat_bn.meta_", SELECTED_ON_ITS_TARGET),
    ("base.", "feat_bn.", True): Release("the M3L release (IBNMeta)", False, "feat_bn.meta_", SELECTED_ON_ITS_TARGET),
    ("", "feat_bn0.", False): Release("the IL release", False, "", SELECTED_ON_ITS_TARGET),
    ("base.", "feat_bn0.", False): Release("the IL release (with a stem ReLU)", True, "", SELECTED_ON_ITS_TARGET),
    (BACKBONE, NECK, False): OWN,
    (BACKBONE, NECK, True): OWN,
}  # fmt: skip


def bare_name(name: str) -> str:
    """A file's name of a tensor without what ``DataParallel`` puts before it."""
    return name.removeprefix("module.")


def recognise(names: Iterable[str]) -> Release:
    """The release whose files have tensors of these names; :data:`UNKNOWN` if none has, or if names are mixed."""
    bare = [bare_name(name) for name in names]
    if any(name.startswith(OF_A_RUN + BACKBONE) for name in bare):
        return OWN_RUN
    backbones = {name[: -len(match[0])] for name in bare if (match := re.search(r"(?<![^.])layer\d\..*", name))}
    necks = {prefix for prefix in ("feat_bn.", "feat_bn0.", NECK) if any(name.startswith(prefix) for name in bare)}
    if len(backbones) != 1 or len(necks) != 1:
        return UNKNOWN
    return RELEASES.get((backbones.pop(), necks.pop(), any(".bn1.IN." in name for name in bare)), UNKNOWN)


def file_names(names: Iterable[str]) -> dict[str, str]:
    """The file's name of each tensor by its name here; what a run's checkpoint holds besides the net keeps its name.

    Raises:
        InputError: two of the file's tensors would have the same name here.
    """
    names = list(names)
    of_a_run = any(name.startswith(OF_A_RUN) for name in names)
    named: dict[str, str] = {}
    for name in names:
        own = name.removeprefix(OF_A_RUN) if of_a_run else own_name(name)
        if own in named:
            raise InputError(
                f"{named[own]} and {name} would both be {own}: the file holds two nets; save one of them alone"
            )
        named[own] = name
    return named


def is_trunk(name: str) -> bool:
    """Whether a tensor (by its name here) can only be part of a residual backbone, not of a head that was left over."""
    return TRUNK.match(name) is not None


def fitting_net(own: Mapping[str, Tensor]) -> str | None:
    """What to type for the net whose backbone these tensors (by their names here) form; None if none is known."""
    basic, stem = own.get(f"{BACKBONE}layer1.conv1.weight"), own.get(f"{BACKBONE}conv1.weight")
    if basic is not None and stem is not None:
        return f"net=small net.width={stem.shape[0]}"
    blocks = [
        sum(f"{BACKBONE}layer{stage}.{block}.conv3.weight" in own for block in range(40)) for stage in range(1, 5)
    ]
    if blocks != [3, 4, 6, 3]:
        return None
    return "net=resnet50_ibn_a" if f"{BACKBONE}layer1.0.bn1.IN.weight" in own else "net=resnet50"


def target_by_file_name(file: str) -> str | None:
    """The word for the target in a file's name as M3L gives them (``market_resMeta.pth.tar``), None in other names."""
    match = M3L_FILE.fullmatch(file)
    return match[1] if match else None
