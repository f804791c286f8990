"""A backbone, average pooling and a batch-normalisation neck (BNNeck, Luo et al., CVPRW 2019)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from dgreid.errors import check_one_of
from dgreid.nets.weights_report import WeightsReport
from dgreid.types import Features

NeckBias = Literal["trainable", "frozen"]


class ReIDNet(nn.Module):
    """Images to :class:`~dgreid.types.Features`.

    Parts that methods reach for by name: ``backbone`` (its stages are ``layer1`` ... ``layer4``), ``neck`` (a
    :class:`torch.nn.BatchNorm1d` over the pooled features), ``feature_dimension`` and ``weights_report``.

    Args:
        backbone: (B, 3, H, W) normalised images to (B, feature_dimension, h, w) maps.
        feature_dimension: number of channels of those maps.
        neck_bias: ``frozen`` keeps the neck's bias at 0, as IL does; ``trainable`` lets it learn, as M3L does.

    Raises:
        InputError: for any other ``neck_bias``.
    """

    def __init__(self, backbone: nn.Module, feature_dimension: int, neck_bias: NeckBias = "frozen") -> None:
        super().__init__()
        check_one_of("neck_bias", neck_bias, ("trainable", "frozen"))
        self.backbone = backbone
        self.feature_dimension = feature_dimension
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.neck = nn.BatchNorm1d(feature_dimension)
        self.neck.bias.requires_grad_(neck_bias == "trainable")
        self.weights_report = WeightsReport(source="random")

    def forward(self, images: Tensor) -> Features:
        """(B, 3, H, W) normalised images to pooled and neck features, both (B, feature_dimension).

        Under mixed precision the features come back in the neck's own precision: losses and retrieval compare
        unit vectors whose differences bfloat16 would swallow.
        """
        pooled = self.pooling(self.backbone(images)).flatten(1).to(self.neck.weight.dtype)
        return Features(pooled=pooled, neck=self.neck(pooled))
