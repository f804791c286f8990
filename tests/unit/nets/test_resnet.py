import pytest
import torch
from torchvision.models import resnet50 as torchvision_resnet50

from dgreid.errors import InputError
from dgreid.nets.ibn import InstanceBatchNorm
from dgreid.nets.names import own_names
from dgreid.nets.resnet import resnet50, resnet50_ibn_a

IMAGES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def torchvision_with_last_stride_1():
    reference = torchvision_resnet50(weights=None)
    reference.layer4[0].conv2.stride = (1, 1)
    reference.layer4[0].downsample[0].stride = (1, 1)
    reference.fc = torch.nn.Identity()
    return reference


@pytest.mark.parametrize("stem_relu", [True, False])
def test_pooled_features_are_torchvision_s_with_last_stride_1(stem_relu):
    reference = torchvision_with_last_stride_1()
    if not stem_relu:
        reference.relu = torch.nn.Identity()
    net = resnet50(weights="random", stem_relu=stem_relu)
    net.load_state_dict(net.state_dict() | own_names(reference.state_dict()))
    for training in (True, False):
        net.train(training)
        reference.train(training)
        features = net(IMAGES)
        assert torch.allclose(features.pooled, reference(IMAGES), rtol=1e-4, atol=1e-5)
        neck = torch.nn.functional.batch_norm(
            features.pooled, torch.zeros(2048), torch.ones(2048), training=training, eps=1e-5
        )
        if training:
            assert torch.allclose(features.neck, neck, atol=1e-5)
        assert torch.allclose(features.embedding.norm(dim=1), torch.ones(2))


def test_stride_1_keeps_a_map_of_16_by_8():
    with torch.no_grad():
        maps = resnet50(weights="random").eval().backbone(torch.zeros(1, 3, 256, 128))
    assert maps.shape == (1, 2048, 16, 8)


@pytest.mark.parametrize(("build", "tensors"), [(resnet50, 161), (resnet50_ibn_a, 187)])
def test_parameters_are_counted_as_in_the_releases(build, tensors):
    parameters = list(build(weights="random").parameters())
    assert len(parameters) == tensors
    assert sum(p.numel() for p in parameters) == 23_512_128
    assert sum(not p.requires_grad for p in parameters) == 1
    assert all(p.requires_grad for p in build(weights="random", neck_bias="trainable").parameters())


def test_without_stem_relu_the_stem_bias_has_no_gradient():
    images = IMAGES.double()
    for stem_relu in (True, False):
        net = resnet50(weights="random", stem_relu=stem_relu).double()
        net(images)[1].square().sum().backward()
        assert (net.backbone.bn1.bias.grad.abs().max() < 1e-9) == (not stem_relu)


def test_an_unknown_neck_bias_is_refused():
    with pytest.raises(InputError, match="neck_bias=none: known: frozen, trainable"):
        resnet50(weights="random", neck_bias="none")


def test_ibn_normalises_half_per_instance_and_half_per_batch():
    layer = InstanceBatchNorm(6).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    maps = torch.randn(4, 6, 5, 3, dtype=torch.float64) * 3 + 1
    found = layer(maps)
    for channel in range(6):
        norm, place = (layer.IN, channel) if channel < 3 else (layer.BN, channel - 3)
        for image in range(4):
            seen = maps[image, channel] if channel < 3 else maps[:, channel]
            expected = (maps[image, channel] - seen.mean()) / (seen.var(correction=0) + 1e-5).sqrt()
            expected = expected * norm.weight[place] + norm.bias[place]
            assert torch.allclose(found[image, channel], expected)


def test_ibn_keeps_instance_statistics_in_evaluation():
    layer = InstanceBatchNorm(4)
    maps = torch.randn(3, 4, 5, 3)
    trained = layer(maps)[:, :2]
    assert torch.allclose(layer.eval()(maps)[:, :2], trained, atol=1e-6)
    assert not any(name.startswith("IN.running") for name in layer.state_dict())


def test_ibn_a_splits_the_first_norm_of_13_blocks():
    net = resnet50_ibn_a(weights="random")
    split = [name for name, module in net.named_modules() if isinstance(module, InstanceBatchNorm)]
    expected = [f"backbone.layer{s}.{b}.bn1" for s, blocks in ((1, 3), (2, 4), (3, 6)) for b in range(blocks)]
    assert split == expected
    assert net(IMAGES).embedding.shape == (2, 2048)
