import pytest

from dgreid.nets.names import own_name, reference_name
from dgreid.nets.resnet import resnet50_ibn_a


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("conv1.weight", "backbone.conv1.weight"),
        ("module.base.layer1.0.bn1.IN.weight", "backbone.layer1.0.bn1.IN.weight"),
        ("module.layer4.2.bn3.running_var", "backbone.layer4.2.bn3.running_var"),
        ("feat_bn0.bias", "neck.bias"),
        ("module.feat_bn.running_mean", "neck.running_mean"),
        ("backbone.bn1.bias", "backbone.bn1.bias"),
        ("neck.weight", "neck.weight"),
    ],
)
def test_names_of_others(theirs, ours):
    assert own_name(theirs) == ours


@pytest.mark.parametrize("backbone", ["", "base.", "module.base.", "module."])
@pytest.mark.parametrize("neck", ["feat_bn0.", "feat_bn."])
def test_reference_names_are_undone(backbone, neck):
    names = list(resnet50_ibn_a(weights="random").state_dict())
    theirs = [reference_name(name, backbone, neck) for name in names]
    assert [own_name(name) for name in theirs] == names
    assert len(set(theirs)) == len(names)
