"""What the tests of several styles share: maps, layouts, and each style with draws that fit it."""

from __future__ import annotations

import pytest
import torch
from given_draws import GivenDraws

from dgreid.style import DSU, MixStyle, Swap, Uniform

LAYOUTS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
DOMAINS = torch.tensor([0, 0, 1, 1, 2, 2])
ALWAYS = {
    "uniform": Uniform(),
    "mixstyle": MixStyle(probability=1.0),
    "mixstyle_cross_domain": MixStyle(probability=1.0, partner="cross_domain"),
    "dsu": DSU(probability=1.0),
    "swap": Swap(),
}
EVERY_STYLE = pytest.mark.parametrize("name", ALWAYS)


def maps_of(*shape, dtype=torch.float64, layout=torch.contiguous_format, seed=0):
    """Random maps whose channels and images differ in mean and scale, by default of six images."""
    generator = torch.Generator().manual_seed(seed)
    shape = shape or (6, 3, 4, 5)
    maps = torch.randn(shape, generator=generator, dtype=torch.float64)
    scale = 0.5 + 2 * torch.rand(*shape[:2], 1, 1, generator=generator, dtype=torch.float64)
    shift = 3 * torch.randn(*shape[:2], 1, 1, generator=generator, dtype=torch.float64)
    return (maps * scale + shift).to(dtype).contiguous(memory_format=layout)


def draws_for(name, rows=6, channels=3, seed=0):
    """Draws in double precision that the style of this name can be given."""
    generator = torch.Generator().manual_seed(100 + seed)
    random = {"generator": generator, "dtype": torch.float64}
    if name == "uniform":
        return GivenDraws(mean=torch.rand(rows, channels, **random), std=torch.rand(rows, channels, **random))
    if name == "dsu":
        return GivenDraws(mean=torch.randn(rows, channels, **random), std=torch.randn(rows, channels, **random))
    if name == "mixstyle":
        partner = torch.randperm(rows, generator=generator)
        return GivenDraws(weight=torch.rand(rows, **random), partner=partner)
    return GivenDraws(weight=torch.rand(rows, **random), partner=torch.rand(rows, 1, **random))
