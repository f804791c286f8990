"""Names of a net's tensors here and in the files of others.

Ours are torchvision's under ``backbone.`` and the BNNeck's under ``neck.``. Torchvision and IBN-Net have no prefix; the
M3L release writes ``base.`` and ``feat_bn.``; the IL release writes ``feat_bn0.`` and no prefix where its net has no
stem ReLU, ``base.`` where it has one; ``DataParallel`` puts ``module.`` before everything.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

BACKBONE = "backbone."
NECK = "neck."
REFERENCE_NECKS = ("feat_bn0.", "feat_bn.")


def own_name(name: str) -> str:
    """The name here of a tensor in a file of torchvision, IBN-Net, M3L, IL or this project."""
    name = name.removeprefix("module.")
    if name.startswith((BACKBONE, NECK)):
        return name
    for neck in REFERENCE_NECKS:
        if name.startswith(neck):
            return NECK + name.removeprefix(neck)
    return BACKBONE + name.removeprefix("base.")


def own_names(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the names they have here."""
    return {own_name(name): tensor for name, tensor in state_dict.items()}


def reference_name(name: str, backbone: str, neck: str) -> str:
    """The name in a reference release of one of our tensors; undone by :func:`own_name`.

    Args:
        name: our name, under ``backbone.`` or ``neck.``.
        backbone: the release's prefix of the backbone: ``"base."`` or ``""``.
        neck: the release's prefix of the neck: ``"feat_bn0."`` (IL) or ``"feat_bn."`` (M3L).
    """
    if name.startswith(NECK):
        return neck + name.removeprefix(NECK)
    return backbone + name.removeprefix(BACKBONE)
