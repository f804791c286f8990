"""The style toolbox: per-image channel statistics of a net's maps, redrawn or exchanged while it trains.

A style is the mean and standard deviation of each channel of one image's map. Alone, with any net, by the names of its
layers::

    from dgreid.style import MixStyle, styled

    style = MixStyle(layers=["layer1", "layer2"], probability=0.5)
    with styled(net, style):
        features = net(images)

No layer is added and no ``forward`` knows of it: named layers are hooked while the context is open. A net in evaluation
mode is never styled.
"""

from dgreid.style.base import Style
from dgreid.style.dsu import DSU
from dgreid.style.hooks import check_layers, styled
from dgreid.style.mixstyle import MixStyle
from dgreid.style.statistics import Statistics, channel_statistics, restyle
from dgreid.style.swap import Swap
from dgreid.style.uniform import Uniform, interleaving_range

__all__ = [
    "DSU",
    "MixStyle",
    "Statistics",
    "Style",
    "Swap",
    "Uniform",
    "channel_statistics",
    "check_layers",
    "interleaving_range",
    "restyle",
    "styled",
]
