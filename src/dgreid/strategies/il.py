"""IL: style interleaved learning (Tan et al., TMM 2023)."""

from __future__ import annotations

from copy import copy
from typing import Literal

from dgreid.draws import SeededDraws
from dgreid.errors import InputError
from dgreid.strategies.fbf import FBF
from dgreid.style import Style, Uniform

INTERLEAVING = Uniform()


class IL(FBF):
    """FBF whose mixed forward sees every image in a style that no image has.

    The loss forwards are plain. In the mixed forward after the step the maps of the first stage take on means and
    standard deviations drawn around those of the whole batch, per image and channel
    (:class:`~dgreid.style.Uniform`), so memories gather what the net sees in a person whatever the style. Styles never
    meet a gradient.

    Training forwards a step: those of FBF. The running statistics of the layers after the styled one are moved by the
    styled maps once a step, after one time for each domain; evaluation uses them.

    Args:
        temperature: divides the scores.
        momentum: weight of a memory's old row in its update.
        loss_style: what happens to styles in the forwards of the losses; None, as published: nothing.
        memory_style: what happens to styles in the mixed forward; any but None.
        statistics_chunks: see :class:`~dgreid.strategies.fb.FB`; those of styles are the same parts'.
        domain_graphs: see :class:`~dgreid.strategies.fb.FB`.
        draws: as in FBF; the style's are asked under ``memory_style/<layer>/<name>``.

    Raises:
        InputError: for a value outside its range, or no memory style.
    """

    def __init__(
        self,
        temperature: float = 0.05,
        momentum: float = 0.2,
        loss_style: Style | None = None,
        memory_style: Style | None = INTERLEAVING,
        statistics_chunks: int = 1,
        domain_graphs: Literal["separate", "joint"] = "separate",
        draws: SeededDraws | None = None,
    ) -> None:
        if memory_style is None:
            raise InputError("memory_style=none with IL is FBF: take strategy=fbf, or another memory_style.")
        own_style = copy(memory_style)  # the default is one object for all
        super().__init__(temperature, momentum, loss_style, own_style, statistics_chunks, domain_graphs, draws)
