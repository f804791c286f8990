"""A small residual net for the embedded benchmark and for tests."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from dgreid.errors import InputError
from dgreid.nets.reid import NeckBias, ReIDNet
from dgreid.nets.weights import load_initial_weights

WIDEST = 1_024  # of the first stage; the last layer alone has 5 GB then


def residual_block(channels_in: int, channels_out: int, stride: int) -> BasicBlock:
    """Two 3x3 convolutions; the shortcut is a strided 1x1 convolution with its own norm."""
    shortcut = nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))
    return BasicBlock(channels_in, channels_out, stride, shortcut)


class SmallTrunk(nn.Module):
    """Stem and four residual blocks; the stages are named as in a ResNet.

    Args:
        width: channels of the first stage; each further stage doubles them.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = residual_block(width, width, stride=2)
        self.layer2 = residual_block(width, 2 * width, stride=2)
        self.layer3 = residual_block(2 * width, 4 * width, stride=2)
        self.layer4 = residual_block(4 * width, 8 * width, stride=1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images to (B, 8 * width, H/16, W/16) maps."""
        maps = self.relu(self.bn1(self.conv1(images)))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return maps


def initialise_convolutions(trunk: nn.Module) -> None:
    """He et al. (ICCV 2015), by fan-out, for every convolution: what torchvision's ResNets start from."""
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def small(
    weights: str = "random", width: int = 32, neck_bias: NeckBias = "frozen", load_bn_statistics: bool = True
) -> ReIDNet:
    """Four residual blocks and a BNNeck; 8 * width features. Made for 128x64 images on a laptop's processor.

    Args:
        weights: ``random`` or a file of this net's own weights.
        width: channels of the first stage.
        neck_bias: ``frozen`` at 0 or ``trainable``.
        load_bn_statistics: whether running means and variances are taken from the file.

    Raises:
        InputError: if the width is below 1 or above 1,024, or the file is not there, not readable, or not of this net.
    """
    if not 1 <= width <= WIDEST:
        raise InputError(f"width={width} must be at least 1 and at most {WIDEST:,}: the channels of the first stage.")
    trunk = SmallTrunk(width)
    initialise_convolutions(trunk)
    net = ReIDNet(trunk, 8 * width, neck_bias)
    load_initial_weights(net, weights, {}, load_bn_statistics)
    return net
