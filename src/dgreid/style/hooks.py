"""Styles in a net: named layers are hooked while a context is open."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dgreid.draws import AmbientDraws, RowDraws
from dgreid.errors import InputError, nearest
from dgreid.style.base import Style

MOST_LISTED = 24


@contextmanager
def styled(
    net: nn.Module, style: Style | None, draws: RowDraws | None = None, domains: Tensor | None = None
) -> Iterator[None]:
    """Within the context, forwards of a net in training mode have their layers' outputs changed by a style.

    Args:
        net: anything that calls the style's layers as modules, also through ``torch.func.functional_call``.
        style: None changes nothing.
        draws: each layer asks ``draws.under(<layer>)``, the same ones in each call of the layer within the context if
            they are a function of their name; by default from torch's global generator, always new ones.
        domains: (B,) integers, the domain of each image of the forward; for styles that pair domains.

    Raises:
        InputError: for a layer that does not exist; in the forward, for one whose output is not (B, C, H, W) or has no
            statistics.
    """
    if style is None:
        yield
        return
    check_layers(net, style)
    draws = draws or AmbientDraws()
    handles: list[RemovableHandle] = []
    try:
        for layer in style.layers:
            hook = _hook(net, style, layer, draws.under(layer), domains)
            handles.append(net.get_submodule(layer).register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(
    net: nn.Module, style: Style, layer: str, draws: RowDraws, domains: Tensor | None
) -> Callable[[nn.Module, Any, Any], Tensor | None]:
    def change(module: nn.Module, arguments: Any, output: Any) -> Tensor | None:
        if not net.training:
            return None
        if not isinstance(output, Tensor) or output.dim() != 4:
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise InputError(f"layer {layer} returns {shape}, a style needs maps (B, C, H, W): choose another layer.")
        return style(output, draws, domains)

    return change


def check_layers(net: nn.Module, style: Style) -> None:
    """Refuses a style with a layer that the net does not have.

    Raises:
        InputError: with the nearest name, and those of the net's upper levels.
    """
    names = [name for name, _ in net.named_modules(remove_duplicate=False) if name]
    for layer in style.layers:
        if layer not in names:
            close = difflib.get_close_matches(layer, names, n=1)
            raise InputError(f"layer {layer} is not in the net; {nearest(layer, {*_upper_levels(names), *close})}")


def _upper_levels(names: list[str]) -> list[str]:
    """The names of as many levels from the top as make a list that can be read; at least the first."""
    shown: list[str] = []
    for depth in range(max(name.count(".") for name in names) + 1 if names else 0):
        level = [name for name in names if name.count(".") == depth]
        if shown and len(shown) + len(level) > MOST_LISTED:
            break
        shown += level
    return shown
