import pytest
import torch

from dgreid.errors import InputError
from dgreid.nets.small import small


def test_features_are_eight_times_the_width():
    net = small(width=4)
    features = net(torch.randn(2, 3, 128, 64))
    assert features.pooled.shape == features.neck.shape == (2, net.feature_dimension) == (2, 32)
    assert net.weights_report.line() == "weights random"


def test_maps_have_a_sixteenth_of_the_image_s_sides():
    assert small(width=4).backbone(torch.randn(2, 3, 128, 64)).shape == (2, 32, 8, 4)


def test_features_keep_the_neck_s_precision_under_autocast():
    net = small(width=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net.backbone(torch.randn(2, 3, 32, 16)).dtype == torch.bfloat16
        features = net(torch.randn(2, 3, 32, 16))
    assert features.pooled.dtype == features.neck.dtype == torch.float32


def test_the_seed_makes_the_weights():
    torch.manual_seed(3)
    first = small(width=4).state_dict()
    torch.manual_seed(3)
    again = small(width=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_net_without_channels_is_refused():
    with pytest.raises(InputError, match="width=0 must be at least 1"):
        small(width=0)
