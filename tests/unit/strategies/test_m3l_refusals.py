"""What M3L refuses, and what it says then."""

import m3l_problem
import pytest
import torch
from m3l_problem import net_of_four_channels, prepared
from small_problem import clock
from torch import nn

from dgreid.errors import InputError
from dgreid.strategies.m3l import M3L


def test_a_batch_of_one_identity_is_refused():
    strategy, net = prepared(3)
    batches = m3l_problem.batches(0, 3)
    batches["third"] = batches["third"]._replace(identities=torch.full((6,), 2))
    with pytest.raises(InputError, match="with identity 2 alone has no negatives"):
        strategy.loss(net, batches, clock(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outer_gradient": "half"}, r"outer_gradient=half: .*full"),
        ({"metabn_scale": "deviation"}, r"metabn_scale=deviation: .*std"),
        ({"order": "third"}, r"order=third: .*second"),
        ({"hypergradient": "hessian"}, r"hypergradient=hessian: .*graph"),
        (
            {"order": "first", "outer_gradient": "second_order_only"},
            r"leaves nothing of the meta-test loss: take outer_g",
        ),
        ({"inner_learning_rate": "inner"}, r"inner_learning_rate=inner: 'outer', or a number above 0"),
        ({"inner_learning_rate": 0.0}, r"inner_learning_rate=0\.0: 'outer', or a number above 0"),
        ({"inner_learning_rate": True}, r"inner_learning_rate=True: 'outer', or a number above 0"),
        ({"inner_learning_rate": float("nan")}, r"inner_learning_rate=nan: 'outer', or a number above 0"),
        ({"inner_weight_decay": -1e-4}, r"inner_weight_decay=-0\.0001: a number, not negative"),
        ({"inner_weight_decay": "optim"}, r"inner_weight_decay=optim: a number, not negative"),
        ({"temperature": 0.0}, r"temperature=0\.0 must be positive"),
        ({"momentum": 1.0}, r"momentum=1\.0 must lie in \[0, 1\)"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        M3L(**options)


def test_one_source_is_refused():
    with pytest.raises(InputError, match=r"sources: first; M3L holds one source out .* at least two.*strategy=fb"):
        prepared(1)
    strategy, net = prepared(2)
    batches = m3l_problem.batches(0, 2)
    del batches["second"]
    with pytest.raises(
        InputError, match=r"a step of M3L needs the batches of two domains or more, got those of \['first'\]"
    ):
        strategy.loss(net, batches, clock(0))


def test_a_source_of_one_identity_is_refused():
    domains = [
        domain._replace(identities=1) if domain.name == "second" else domain for domain in m3l_problem.domains(3)
    ]
    with pytest.raises(InputError, match="source second has 1 training identity: the triplet loss needs negatives"):
        M3L().setup(net_of_four_channels(), domains)


def neckless(neck):
    net = net_of_four_channels()
    net.neck = neck
    return net


@pytest.mark.parametrize(
    "neck",
    [nn.Identity(), nn.LayerNorm(32), nn.BatchNorm1d(32, affine=False), nn.BatchNorm1d(32, track_running_stats=False)],
)
def test_a_net_without_a_batch_normalisation_neck_is_refused(neck):
    with pytest.raises(
        InputError, match=f"ReIDNet has no attribute `neck` that is .* but {type(neck).__name__}: MetaBN"
    ):
        M3L().setup(neckless(neck), m3l_problem.domains(2))


def compiled_part(net):
    net.backbone = torch.compile(net.backbone)
    return net


def compiled_in_place(net):
    net.compile()
    return net


@pytest.mark.parametrize("order", ["second", "first"])
@pytest.mark.parametrize("compiled", [torch.compile, compiled_part, compiled_in_place])
def test_a_compiled_net_is_refused(compiled, order):
    with pytest.raises(InputError, match=r"went through torch\.compile, .* M3L needs it uncompiled"):
        M3L(order=order).setup(compiled(net_of_four_channels()), m3l_problem.domains(2))


def test_a_layer_under_two_names_is_refused():
    net = net_of_four_channels()
    net.backbone.stem = nn.Sequential(net.backbone.conv1, net.backbone.bn1)
    with pytest.raises(InputError, match=r"several names \(backbone\.conv1, .*backbone\.stem\.1\)"):
        M3L().setup(net, m3l_problem.domains(2))


class Wrapper(nn.Module):
    """A net inside another, whose neck has another name there."""

    def __init__(self, inside):
        super().__init__()
        self.inside = inside
        self.feature_dimension = inside.feature_dimension

    @property
    def neck(self):
        return self.inside.neck

    def forward(self, images):
        return self.inside(images)


def test_a_neck_that_is_no_part_of_the_net_is_refused():
    class Loose(Wrapper):
        neck = nn.BatchNorm1d(32)

    with pytest.raises(InputError, match="the neck of Loose is none of its submodules"):
        M3L().setup(Loose(net_of_four_channels()), m3l_problem.domains(2))


@pytest.mark.parametrize("options", [{}, {"hypergradient": "hvp"}, {"order": "first"}, {"meta_test_updates_bn": True}])
def test_a_wrapped_net_has_the_gradients_of_the_net_inside(options):
    found = []
    for wrap in (lambda net: net, Wrapper):
        strategy, net = prepared(3, wrap(net_of_four_channels()), **options)
        strategy.loss(net, m3l_problem.batches(0, 3), clock(0)).loss.backward()
        found.append([value.grad for value in net.parameters() if value.grad is not None])
    assert len(found[0]) == len(found[1]) > 10
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"meta_test_updates_bn": "no"}, "meta_test_updates_bn=no: true or false"),
        ({"margin": "a"}, "margin=a: a number, not negative"),
        ({"margin": -0.1}, r"margin=-0\.1: a number, not negative"),
        ({"inner_learning_rate": float("inf")}, "inner_learning_rate=inf: 'outer', or a number above 0"),
    ],
)
def test_values_that_mean_something_else_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        M3L(**options)
