import numpy as np
import pytest
import torch
from torch import nn

from dgreid.data.transforms import IMAGENET_MEAN, IMAGENET_STD, normalise
from dgreid.errors import InputError
from dgreid.export.embedder import ImageEmbedder, embedding_dimension, example_images


class Unit(nn.Module):
    """The first numbers of each image, scaled to a length."""

    def __init__(self, length=1.0):
        super().__init__()
        self.length = length

    def forward(self, images):
        return self.length * nn.functional.normalize(images.flatten(1)[:, :5], dim=1)


def embedder(net):
    return ImageEmbedder(net, IMAGENET_MEAN, IMAGENET_STD)


def test_images_are_normalised_once_and_as_in_training():
    pixels = torch.randint(0, 256, (2, 3, 8, 4), dtype=torch.uint8)
    found = embedder(nn.Identity())(pixels / 255)
    slow = np.empty(found.shape)
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        slow[:, channel] = (pixels[:, channel].numpy() / 255 - mean) / std
    assert np.abs(found.numpy() - slow).max() < 1e-6
    assert torch.equal(found, normalise(pixels))


def test_the_net_is_in_evaluation_mode_and_alone_has_tensors():
    net = nn.BatchNorm2d(3)
    whole = embedder(net)
    assert not net.training
    assert {name.removeprefix("net.") for name in whole.state_dict()} == set(net.state_dict())


def test_example_images_are_images_and_the_same_each_time():
    images = example_images(3, 32, 16)
    assert images.shape == (3, 3, 32, 16)
    assert 0 <= images.min() < 0.2
    assert 0.8 < images.max() <= 1
    assert torch.equal(images, example_images(3, 32, 16))
    assert not torch.equal(images[0], images[1])


def test_the_dimension_is_what_comes_out():
    assert embedding_dimension(embedder(Unit()), 8, 4) == 5


def test_other_lengths_and_shapes_are_refused():
    with pytest.raises(InputError, match=r"\(Unit\) gives embeddings of length 2; they must have unit length"):
        embedding_dimension(embedder(Unit(length=2)), 8, 4)
    with pytest.raises(InputError, match=r"length nan"):
        embedding_dimension(embedder(Unit(length=float("nan"))), 8, 4)
    with pytest.raises(InputError, match=r"\(Identity\) gives \(2, 3, 8, 4\) for 2 images"):
        embedding_dimension(embedder(nn.Identity()), 8, 4)
