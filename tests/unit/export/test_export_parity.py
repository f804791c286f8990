from pathlib import Path

import pytest
import torch
from torch import nn

from dgreid.errors import InputError
from dgreid.export.embedder import ImageEmbedder
from dgreid.export.parity import BATCHES, TOLERANCE, largest_difference, require_parity


class Mean(nn.Module):
    def forward(self, images):
        return images.mean(dim=(2, 3))


def test_the_largest_difference_of_any_component_counts():
    embedder = ImageEmbedder(Mean(), (0, 0, 0), (1, 1, 1))
    seen = []

    def shifted(images):
        seen.append(len(images))
        found = embedder(images).clone()
        found[-1, 2] -= 0.25 if len(images) == max(BATCHES) else 0
        return found

    assert largest_difference(embedder, embedder, 8, 4) == 0
    assert largest_difference(embedder, shifted, 8, 4) == pytest.approx(0.25)
    assert seen == list(BATCHES)


def test_nan_is_a_difference():
    embedder = ImageEmbedder(Mean(), (0, 0, 0), (1, 1, 1))
    difference = largest_difference(embedder, lambda images: embedder(images) * torch.tensor([1, 1, torch.nan]), 8, 4)
    with pytest.raises(InputError, match="differ from the run's by up to nan"):
        require_parity(Path("net.onnx"), difference)


def test_what_differs_is_refused_with_the_difference():
    require_parity(Path("net.onnx"), TOLERANCE)
    with pytest.raises(InputError, match=r"net.onnx was not kept: .* by up to 2e-05, allowed is 1e-05"):
        require_parity(Path("somewhere/net.onnx"), 2e-5)
