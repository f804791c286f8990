"""A method of one's own whose evaluation uses more than the net."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dgreid.strategies.softmax_triplet import SoftmaxTriplet


class Projected(nn.Module):
    """Pooled features, projected to a few numbers by a layer of the strategy's, at unit length."""

    def __init__(self, net: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.trunk, self.projection = net, projection

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.projection(self.trunk(images).pooled), dim=1)


class ProjectingStrategy(SoftmaxTriplet):
    """Evaluates in six dimensions."""

    def setup(self, net, domains):
        super().setup(net, domains)
        self.projection = nn.Linear(net.feature_dimension, 6)

    def inference_net(self, net):
        return Projected(net, self.projection)


class FarFromUnit(ProjectingStrategy):
    """Forgets to normalise."""

    def inference_net(self, net):
        return nn.Sequential(Projected(net, self.projection), nn.Linear(6, 3))


class DependsOnValues(ProjectingStrategy):
    """Cannot be traced."""

    def inference_net(self, net):
        class Branching(Projected):
            def forward(self, images):
                found = super().forward(images)
                return found if float(found.detach().sum()) > 0 else -found

        return Branching(net, self.projection)


class Forgetful(ProjectingStrategy):
    """Drops components at random in evaluation too."""

    def inference_net(self, net):
        class Dropping(Projected):
            def forward(self, images):
                return F.normalize(F.dropout(super().forward(images), 0.5, training=True), dim=1)

        return Dropping(net, self.projection)
