"""Small pictures, and a net that embeds them without having learnt anything."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import nn

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class Patches(nn.Module):
    """The mean colours of twelve patches, at unit length; counts the images it sees."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        return F.normalize(F.adaptive_avg_pool2d(images, (6, 2)).flatten(1), dim=1)


def draw(path: Path, seed: int) -> Path:
    """A picture of 24 x 12 pixels; as PNG, so that its pixels stay what they are."""
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 12, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@contextmanager
def silent(what, total):
    """No progress."""
    yield lambda done: None
