"""ResNet-50 as person re-identification uses it, plain and with IBN-a."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from dgreid.nets.ibn import InstanceBatchNorm
from dgreid.nets.reid import NeckBias, ReIDNet
from dgreid.nets.weights import load_initial_weights

PUBLISHED = {
    "imagenet_v1": ("resnet50-0676ba61.pth", "resnet50-19c8e357.pth"),
    "imagenet_v2": ("resnet50-11ad3fa6.pth",),
}


class ResNet50Trunk(ResNet):
    """Torchvision's ResNet-50 up to its last maps, with stride 1 in the last stage (256x128 images: 16x8 maps).

    Torchvision's layout has the stride of a block on its 3x3 convolution, as both reference releases do. Parameters
    keep torchvision's names.

    Args:
        stem_relu: ``False`` leaves out the ReLU between stem norm and max-pooling, as both releases do although the
            ImageNet weights were trained with it. The bias of the stem's norm then has no gradient in training: a
            per-channel shift passes the pooling and the next norm removes it.
    """

    def __init__(self, stem_relu: bool = True) -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3])
        del self.avgpool, self.fc
        if not stem_relu:
            self.relu = nn.Identity()
        first = self.layer4[0]
        first.conv2.stride = first.downsample[0].stride = (1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images to (B, 2048, H/16, W/16) maps."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return maps


def use_instance_batch_norm(trunk: ResNet50Trunk) -> None:
    """Replaces the first norm of each of the 13 blocks in the first three stages by IBN-a, at scale 1 and shift 0."""
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3):
        for block in stage:
            block.bn1 = InstanceBatchNorm(block.conv1.out_channels)


def resnet50(
    weights: str = "imagenet_v1",
    stem_relu: bool = True,
    neck_bias: NeckBias = "frozen",
    load_bn_statistics: bool = True,
) -> ReIDNet:
    """ResNet-50 with last stride 1 and a BNNeck; 2048 features.

    Args:
        weights: ``imagenet_v1``, ``imagenet_v2`` (torchvision's files, never downloaded), a file, or ``random``.
        stem_relu: ReLU after the stem's norm; both releases train without it.
        neck_bias: ``frozen`` at 0 (IL) or ``trainable`` (M3L).
        load_bn_statistics: ``False`` leaves running means at 0 and variances at 1, as the M3L release does.

    Raises:
        InputError: if the weights are not there, not readable, or not those of this net.
    """
    net = ReIDNet(ResNet50Trunk(stem_relu), 2048, neck_bias)
    load_initial_weights(net, weights, PUBLISHED, load_bn_statistics)
    return net


def resnet50_ibn_a(
    weights: str = "imagenet_v1",
    stem_relu: bool = True,
    neck_bias: NeckBias = "frozen",
    load_bn_statistics: bool = True,
) -> ReIDNet:
    """ResNet-50-IBN-a with last stride 1 and a BNNeck; 2048 features.

    Plain ImageNet weights have no split norms: those of the 13 blocks stay at scale 1 and shift 0, as in the M3L
    release, and the weights report says so. IBN-Net's own ``resnet50_ibn_a-d9d0bb7b.pth`` (from its GitHub releases,
    given as a file) has them.

    Args:
        weights: as for :func:`resnet50`.
        stem_relu: as for :func:`resnet50`.
        neck_bias: as for :func:`resnet50`.
        load_bn_statistics: as for :func:`resnet50`.

    Raises:
        InputError: as for :func:`resnet50`.
    """
    trunk = ResNet50Trunk(stem_relu)
    use_instance_batch_norm(trunk)
    net = ReIDNet(trunk, 2048, neck_bias)
    load_initial_weights(net, weights, PUBLISHED, load_bn_statistics)
    return net
