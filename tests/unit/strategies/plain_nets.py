"""A net of a release's procedure with one block a stage, and the same net of the project."""

import torch

from dgreid.nets.reid import ReIDNet
from dgreid.nets.resnet import ResNet50Trunk

BLOCKS = (1, 1, 1, 1)


def with_drawn_scales(plain):
    """Scales and shifts unlike 1 and 0; small last scales of the blocks, as well behaved as trained weights."""
    for name, parameter in plain.named_parameters():
        if parameter.ndim == 1 and parameter.requires_grad:
            torch.nn.init.uniform_(parameter, *((0.1, 0.3) if name.endswith("bn3.weight") else (0.5, 1.0)))
    return plain


def same_net_of_the_project(plain, neck_bias):
    trunk = ResNet50Trunk(stem_relu=False)
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        setattr(trunk, stage, getattr(trunk, stage)[:1])
    net = ReIDNet(trunk, 2048, neck_bias).double().train()
    net.load_state_dict(plain.state_dict())
    return net
